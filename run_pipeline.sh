#!/usr/bin/env bash
# The whole pipeline, from clips to scores: on the dataset in the current folder if any of it is there, otherwise on a
# small drawn sample in sample/. Each step is an ordinary command, printed as it starts; rerun to resume.
#   ./run_pipeline.sh          DAN as in the TensorFlow 1 code, and the paper's audio model; without VGG-16's weights
#                              the audio model alone
#   ./run_pipeline.sh paper    the paper's four models on 92 frames a clip, evenly spread, or on the frames that are
#                              here already, and its table with your scores beside the published ones
set -eu
source "$(dirname "$0")/environment.sh"

step() {
    printf '\n$ python %s\n' "$*"
    "$PYTHON" "$@"
}

prepare() { # arguments: flags of step 1
    step "$scripts/Video_to_Image.py" "$@"
    step "$scripts/vid_to_wav.py"
    step "$scripts/Write_Into_TFRecords.py"
    step "$scripts/feat_extraction_from_wav.py"
}

train_paper() { # arguments: flags for all four models
    step "$scripts/train.py" "$scripts/recipes/paper_audio.py" "$@"
    step "$scripts/train.py" "$scripts/recipes/paper_dan.py" "${start[@]}" "$@"
    step "$scripts/train.py" "$scripts/recipes/paper_dan_plus.py" "${start[@]}" "$@"
    step "$scripts/train.py" "$scripts/recipes/paper_resnet.py" --RESNET_WEIGHTS "$resnet" "$@"
    step "$scripts/evaluate.py" --MODELS "$paper"
    if [ -e Annotations/annotation_test.pkl ]; then step "$scripts/evaluate.py" --MODELS "$paper" --SPLIT test; fi
    step "$scripts/paper_table.py"
}

made_frames() { # how many frames a clip step 1 has made here, where it has: it refuses to mix
    grep -ho '"FRAMES_PER_CLIP": *[0-9]*' ImageData/clips*.jsonl 2>/dev/null | grep -om 1 '[0-9]*$'
}

case "${1-}" in '' | paper) what=${1-} ;; *)
    echo "usage: $0 [paper]" >&2
    exit 1
    ;;
esac
make_environment
started=$SECONDS
scripts=$PROJECT
[ "$PWD" = "$PROJECT" ] && scripts=.
paper=paper_dan,paper_dan_plus,paper_resnet,paper_audio
resnet=resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5

# Files of VGG-16's weights, the best first; check_data.py says where each is published
weights=(vgg-face.mat rcmalli_vggface_tf_notop_vgg16.h5 vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5)
found=$(for file in "${weights[@]}"; do if [ -e "$file" ]; then echo "$file" && break; fi; done)
start=() # flags of train.py
if [ "${found:-vgg-face.mat}" != vgg-face.mat ]; then start=(--WEIGHTS "$found"); fi

here=(data unzippedData Annotations "${weights[@]}")
if [ -n "$(ls -d "${here[@]}" 2>/dev/null)" ]; then
    if [ "$what" = paper ]; then
        frames=$(made_frames || true)
        step "$scripts/check_data.py" --PAPER --FRAMES_PER_CLIP "${frames:=92}" "${start[@]}"
        prepare --FRAMES_PER_CLIP "$frames"
        train_paper
    elif [ -n "$found" ]; then
        step "$scripts/check_data.py" "${start[@]}"
        prepare
        step "$scripts/train.py" "${start[@]}"
        step "$scripts/train.py" "$scripts/recipes/paper_audio.py"
        step "$scripts/evaluate.py" --MODELS dan,paper_audio
    else
        step "$scripts/check_data.py"
        step "$scripts/vid_to_wav.py"
        step "$scripts/feat_extraction_from_wav.py"
        step "$scripts/train.py" "$scripts/recipes/paper_audio.py"
        step "$scripts/evaluate.py" --MODELS paper_audio
    fi
    next='train the four models of the paper with ./run_pipeline.sh paper'
else
    echo "$PWD contains none of ${here[*]}: running the pipeline on a drawn sample in sample/"
    mkdir -p sample
    cd sample
    [ "$scripts" = . ] && scripts=..
    step "$scripts/sample_data.py"
    prepare --FRAMES_PER_CLIP 2
    if [ "$what" = paper ]; then
        resnet=''
        train_paper --BATCH_SIZE 8
    else
        step "$scripts/train.py" "$scripts/recipes/sample_dan.py"
        step "$scripts/train.py" "$scripts/recipes/sample_audio.py"
        step "$scripts/evaluate.py" --MODELS sample_dan,sample_audio
        clips=(unzippedData/validation80_01/*.mp4)
        step "$scripts/predict.py" --MODELS sample_dan,sample_audio --FRAMES_PER_CLIP 20 --EVIDENCE True "${clips[0]}"
    fi
    next='put your own clips or ChaLearn'"'"'s into data/, the labels into Annotations/ and vgg-face.mat beside them (see
README.md), and run this command again. The sample'"'"'s clips are drawn, its labels are invented and its weights are NOT
VGG-Face: its scores only show that the pipeline works.'
fi

cat <<END

Done in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s. Results are in $PWD:
  runs/fusion/   scores_validation.json, and plots of all models together
  runs/<NAME>/   each model: final.keras, history.csv, curves.png, predictions_validation.csv
Try a clip of your own: $PYTHON $scripts/predict.py CLIP.mp4
Next: $next
END
