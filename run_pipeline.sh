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
        [ -e "$file" ] || { echo "$PWD/$file is missing, and the last step needs it: README.md says where it comes from" >&2; exit 1; }
    done
    step $scripts/Video_to_Image.py
    step $scripts/vid_to_wav.py
    step $scripts/Write_Into_TFRecords.py
    step $scripts/feat_extraction_from_wav.py
    step $scripts/train.py
else
    echo "No zips in $PWD/data: showing the pipeline on a drawn sample, in sample/"
    mkdir -p sample
    cd sample
    [ "$scripts" = . ] && scripts=..
    step $scripts/sample_data.py
    step $scripts/Video_to_Image.py --FRAMES_PER_CLIP 2
    step $scripts/vid_to_wav.py
    step $scripts/Write_Into_TFRecords.py
    step $scripts/feat_extraction_from_wav.py
    step $scripts/train.py --BATCH_SIZE 4
fi

cat <<END

Done in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s. Results are in $PWD/runs/dan:
  history.csv, curves.png   accuracy after every epoch, beside the constant guess
  final.keras               the trained network, for keras.models.load_model
END
if [ "${PWD##*/}" = sample ]; then
    cat <<END
The sample's clips are drawn, its labels mean nothing, and its weights are NOT VGG-Face: the score shows that
the pipeline works, no more. Next: put ChaLearn's zips into data/, the annotations into Annotations/ and
vgg-face.mat beside them (README.md, "Your data"), and run this command again.
END
else
    echo "Next: edit the constants at the top of train.py and train again, or --help for any script."
fi
