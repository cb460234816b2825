#!/usr/bin/env bash
# The whole pipeline, from zips to a trained network: on data/ of the current folder if it has zips,
# else on a small drawn sample in sample/. Each step is an ordinary command, shown as it starts.
set -eu
source "$(dirname "$0")/environment.sh"

step() {
    printf '\n$ python %s\n' "$*"
    "$PYTHON" "$@"
}

make_environment
started=$SECONDS
scripts=$PROJECT
[ "$PWD" = "$PROJECT" ] && scripts=.

if ls data/*.zip >/dev/null 2>&1; then
    for file in Annotations/annotation_training.pkl Annotations/annotation_validation.pkl vgg-face.mat; do
        [ -e "$file" ] && continue
        echo "$PWD/$file is missing, and later steps need it: README.md says where it comes from" >&2
        exit 1
    done
    step "$scripts/Video_to_Image.py"
    step "$scripts/vid_to_wav.py"
    step "$scripts/Write_Into_TFRecords.py"
    step "$scripts/feat_extraction_from_wav.py"
    step "$scripts/train.py"
    step "$scripts/train.py" "$scripts/recipes/paper_audio.py"
    step "$scripts/evaluate.py"
    next='dan_plus and resnet, or the recipe of the paper: README.md, "The whole system of the paper"'
else
    echo "No zips in $PWD/data: showing the pipeline on a drawn sample, in sample/"
    mkdir -p sample
    cd sample
    [ "$scripts" = . ] && scripts=..
    step "$scripts/sample_data.py"
    step "$scripts/Video_to_Image.py" --FRAMES_PER_CLIP 2
    step "$scripts/vid_to_wav.py"
    step "$scripts/Write_Into_TFRecords.py"
    step "$scripts/feat_extraction_from_wav.py"
    step "$scripts/train.py" "$scripts/recipes/sample_dan.py"
    step "$scripts/train.py" "$scripts/recipes/sample_audio.py"
    step "$scripts/evaluate.py"
    clips=(unzippedData/validation80_01/*.mp4)
    step "$scripts/predict.py" --FRAMES_PER_CLIP 20 --EVIDENCE True "${clips[0]}"
    next='put ChaLearn'"'"'s zips into data/, the annotations into Annotations/ and vgg-face.mat beside them
(README.md, "Your data"), and run this command again. The sample'"'"'s clips are drawn, its labels mean nothing, and its
weights are NOT VGG-Face: its scores show that the pipeline works, no more.'
fi

cat <<END

Done in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s. Results are in $PWD:
  runs/fusion/   scores_validation.json and pictures of all models together
  runs/<NAME>/  each model: final.keras, history.csv, curves.png, predictions_validation.csv
Try it on a clip of yours: $PYTHON $scripts/predict.py CLIP.mp4
Next: $next
END
