# Faces from attributes. `make help` lists what there is to do and to set.

DATASET ?= synthetic
MODEL ?= mini
LAYER ?= conv5_3
ATTRS ?= Male,Smiling,Eyeglasses
TARGET ?= conditional
STRENGTH ?= 2
LIKING ?= 0
ANIMATE ?=
IMAGES ?= 100
PHOTO ?=
GRID ?= data/experiments.csv
PORT ?= 8866
TORCH ?=
PRESET ?= faces
FREEZE ?= $(if $(filter vgg_face,$(MODEL)),fc6,none)
SEED ?= 1
GPU ?=
OUT ?=
WEIGHTS ?=
LFW_ROOT ?=
PUBFIG_ROOT ?=
CACHE ?=
FALL ?= 1
CGMM_RATE ?= 1
CLASS_WEIGHTS ?=
DROPOUT_AFTER ?= fc
CAFFE_ROOT ?=
CUDA_ARCH ?=
PEOPLE ?= 2000
PICTURES ?= 6
SIZE ?= $(if $(filter vgg_face,$(MODEL)),256,92)
LABEL_NOISE ?= 0
MARGIN ?= $(if $(filter vgg_face,$(MODEL)),32,$(if $(filter synthetic,$(DATASET)),4,8))
EPOCHS ?= $(if $(filter synthetic,$(DATASET)),6,20)
RATE ?= $(if $(filter vgg_face,$(MODEL)),5e-6,2e-3)
DROPOUT ?= $(if $(filter mini,$(MODEL)),$(if $(filter synthetic,$(DATASET)),0,0.3),0.5)
export CAFFE_ROOT CUDA_ARCH

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

READY := .venv/ready$(subst /,_,$(CAFFE_ROOT))
PYTHON := .venv/bin/python
ATTR2FACE := $(PYTHON) -m attr2face $(if $(GPU),--gpu $(GPU))
WHAT := --dataset $(DATASET) --model $(MODEL) --seed $(SEED)

# Variables that are given become part of the names of what they change: nothing is mistaken for another, nothing overwritten.
SPACE := $(subst ,, )
given = $(subst $(SPACE),,$(foreach v,$(1),$(if $(filter command environment,$(firstword $(origin $(v)))),-$(v)$($(v)))))
DRAWN := $(call given,PEOPLE PICTURES LABEL_NOISE)
FACES_synthetic := data/synthetic-$(SIZE)$(DRAWN)
FACES_lfw := $(or $(LFW_ROOT),data/lfw)
FACES_pubfig := data/pubfig
FACES := $(FACES_$(DATASET))
ifndef FACES
$(error DATASET=$(DATASET) is unknown; choose synthetic, lfw or pubfig)
endif
FACES_INDEX := $(FACES)/$(if $(filter lfw,$(DATASET)),lfw_,)attributes.txt
RUN := $(FREEZE)$(addprefix -from-,$(notdir $(basename $(WEIGHTS))))$(call given,CACHE EPOCHS RATE FALL DROPOUT DROPOUT_AFTER CLASS_WEIGHTS)
STORED := $(call given,SIZE)$(DRAWN)$(call given,MARGIN)
WORK := data/$(DATASET)-$(MODEL)$(STORED)
LMDB := $(WORK)/lmdb
# What finetuning starts from: on photographs, mini starts from what it learned of rendered faces.
START_vgg_face := models/vgg_face/VGG_FACE.caffemodel
START_mini := models/mini/$(if $(filter synthetic,$(DATASET)),pretrained,synthetic-none).caffemodel
PRETRAINED := $(or $(WEIGHTS),$(START_$(MODEL)))
FINETUNED := models/$(MODEL)/$(DATASET)$(STORED)-$(RUN).caffemodel
SCORES := $(FINETUNED:.caffemodel=.scores.csv)
ACTIVATIONS := $(WORK)/$(LAYER)-$(RUN).h5
CGMM := $(WORK)/$(LAYER)-$(RUN)$(call given,CGMM_RATE).cgmm.h5
ifeq ($(filter faces paper octaves lbfgs,$(PRESET)),)
$(error PRESET=$(PRESET) is unknown; choose faces, paper, octaves or lbfgs)
endif
EIGENFACES := $(if $(filter faces,$(PRESET)),$(WORK)/eigenfaces.h5)
MADE_FROM := $(WHAT) --lmdb $(LMDB) --weights $(FINETUNED) --cgmm $(CGMM) $(addprefix --eigenfaces ,$(EIGENFACES)) \
	--preset $(PRESET) --target $(TARGET) --strength $(STRENGTH) --liking $(LIKING)
MANNER := $(call given,TARGET STRENGTH LIKING PRESET IMAGES)
JUDGED := data/judged-$(MODEL)$(call given,SIZE MARGIN)
RESULTS := results/$(notdir $(WORK))
EVALUATION := $(RESULTS)/evaluation-$(LAYER)-$(RUN)$(MANNER)
DIAGNOSIS := $(RESULTS)/diagnosis-$(LAYER)-$(RUN)
INVERSION := $(RESULTS)/inversion-$(RUN)
EXPERIMENTS := $(RESULTS)/$(basename $(notdir $(GRID)))$(call given,EPOCHS RATE)
JUDGE := $(if $(filter synthetic,$(DATASET)),$(JUDGED),$(WORK))/judge.h5

.PHONY: help setup data sheet weights lmdb nets pretrain finetune evaluate activations cgmm diagnose gradcheck attrs generate experiments baseline invert paper notebooks jupyter demo bench test lint clean distclean

help:  ## this list
	@echo "usage: make TARGET [VARIABLE=value ...]"; echo; echo "targets"
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo; echo "variables and what they are now"
	@printf '  %-12s %s\n' \
		"DATASET" "$(DATASET): synthetic (rendered here), lfw or pubfig (downloaded)" \
		"LFW_ROOT" "$(LFW_ROOT): folder with lfw_attributes.txt and lfw/; empty downloads them" \
		"PUBFIG_ROOT" "$(PUBFIG_ROOT): folder with PubFig's index files; empty downloads them" \
		"MODEL" "$(MODEL): mini or vgg_face (make weights, or give WEIGHTS)" \
		"WEIGHTS" "$(WEIGHTS): .caffemodel to finetune from" \
		"LAYER" "$(LAYER): layer of the cGMM and of inversion, conv1_1 to conv5_3, fc6 or fc7" \
		"ATTRS" "$(ATTRS): attributes of the face, names in data/heads.csv; @file for a set in each line" \
		"TARGET" "$(TARGET): paper (Eq. 4), sampled (Eq. 2), contrast, conditional, spread, drawn; classes for class visualisation" \
		"STRENGTH" "$(STRENGTH): how far the target goes from the mean; 1 is where such images are; not for the paper's" \
		"CGMM_RATE" "$(CGMM_RATE): where the search for SGD's rate begins; the paper's began at 1e-6" \
		"LIKING" "$(LIKING): weight of the heads' scores beside the target" \
		"PRESET" "$(PRESET): descent along eigenfaces (faces), or on pixels: paper, octaves, lbfgs" \
		"ANIMATE" "$(ANIMATE): 1 writes the descent as a GIF, too" \
		"IMAGES" "$(IMAGES): faces that make evaluate has each method make" \
		"PHOTO" "$(PHOTO): picture for make invert; empty for six of test people" \
		"GRID" "$(GRID): table of finetuning experiments" \
		"PORT" "$(PORT): of the demo's page" \
		"TORCH" "$(TORCH): a Python that has PyTorch, for make bench to compare with; empty for none" \
		"FREEZE" "$(FREEZE): layers beneath this one do not learn: none, conv2 to conv5, fc6, fc7, heads" \
		"CACHE" "$(CACHE): 1 computes what is frozen once and trains from that" \
		"SEED" "$(SEED): of everything random" \
		"GPU" "$(GPU): cards, such as 0 or 0,1; empty for the CPU; make setup GPU=0 builds Caffe with CUDA" \
		"CUDA_ARCH" "$(CUDA_ARCH): compute capabilities to build for, such as '8.6 9.0'; empty for those of the cards here" \
		"OUT" "$(OUT): PNG to write; empty for $(RESULTS)/" \
		"EPOCHS" "$(EPOCHS): of finetuning" \
		"RATE" "$(RATE): learning rate of finetuning; search starts high and lowers it until the loss falls" \
		"FALL" "$(FALL): learning rate of a stage over that of the one above it" \
		"CLASS_WEIGHTS" "$(CLASS_WEIGHTS): 1 lets the rare classes of a head count more" \
		"DROPOUT" "$(DROPOUT): ratio of dropout in finetuning" \
		"DROPOUT_AFTER" "$(DROPOUT_AFTER): fc, or all to drop after convolutions, too" \
		"PEOPLE" "$(PEOPLE): rendered people, with PICTURES=$(PICTURES) of each" \
		"SIZE" "$(SIZE): side of the rendered pictures in pixels, 64 to 512" \
		"MARGIN" "$(MARGIN): pixels beyond the net's input, out of which training cuts it at random" \
		"LABEL_NOISE" "$(LABEL_NOISE): standard deviation of noise on their scores; 0.5 turns about one label in twenty" \
		"CAFFE_ROOT" "$(CAFFE_ROOT): a Caffe of your own; empty builds one"

setup: $(READY) $(if $(GPU),.venv/cuda)  ## system packages, virtual environment and Caffe; with CUDA if GPU is set
data: $(FACES_INDEX)  ## render the faces of DATASET=synthetic
lmdb: $(LMDB)/lmdb.json  ## LMDBs of images and labels
pretrain: $(PRETRAINED)  ## mini on the identities of other rendered people
finetune: $(SCORES)  ## the 42 heads, and their scores on unseen people
activations: $(ACTIVATIONS)  ## activations of LAYER for all images
cgmm: $(CGMM)  ## a Gaussian per attribute, and the weights

$(READY): requirements.txt setup/system.sh setup/caffe.sh setup/caffe.patch
	@bash setup/system.sh
	@echo "making .venv and installing requirements.txt"
	@/usr/bin/python3 -m venv --clear .venv || { echo "make setup: /usr/bin/python3 could not make .venv; install python3-venv" >&2; exit 1; }
	@.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt || \
		{ echo "make setup: pip could not install requirements.txt; check the network and run make again" >&2; exit 1; }
	@echo "$(CURDIR)/python" >"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/attr2face.pth"
	@CUDA="$(GPU)" bash setup/caffe.sh .venv
	@touch $@

# A Caffe with CUDA in the place of the other; it runs on the CPU, too.
.venv/cuda: $(READY) setup/cuda.sh setup/cuda.txt
	@CUDA=1 bash setup/caffe.sh .venv
	@touch $@

$(FACES_synthetic)/attributes.txt: data/heads.csv data/frequencies.csv data/correlations.csv | $(READY)
	@$(ATTR2FACE) data --out $(@D) --people $(PEOPLE) --pictures $(PICTURES) --size $(SIZE) --label-noise $(LABEL_NOISE) --seed $(SEED)

data/lfw/lfw_attributes.txt: | $(READY)
	@$(ATTR2FACE) lfw --out data/lfw

data/pubfig/attributes.txt: | $(READY)
	@$(ATTR2FACE) pubfig --out data/pubfig $(if $(PUBFIG_ROOT),--index "$(PUBFIG_ROOT)")

ifdef LFW_ROOT
$(LFW_ROOT)/lfw_attributes.txt:
	@echo "LFW_ROOT: '$@' does not exist; set it to the folder with lfw_attributes.txt and lfw/, or leave it empty to download LFW" >&2; exit 2
endif

$(LMDB)/lmdb.json: $(FACES_INDEX) | $(READY)
	@$(ATTR2FACE) lmdb $(WHAT) --faces $(FACES) --margin $(MARGIN) --out $(LMDB)

# Other people than the dataset's, and more pictures of each.
data/identities/attributes.txt: data/heads.csv data/frequencies.csv data/correlations.csv | $(READY)
	@$(ATTR2FACE) data --out data/identities --people 150 --pictures 60 --seed $$(( $(SEED) + 1000 ))

data/identities-mini/lmdb/lmdb.json: data/identities/attributes.txt | $(READY)
	@$(ATTR2FACE) lmdb --dataset synthetic --model mini --seed $(SEED) --faces data/identities --out data/identities-mini/lmdb

models/mini/pretrained.caffemodel: data/identities-mini/lmdb/lmdb.json | $(READY)
	@$(ATTR2FACE) pretrain --dataset synthetic --model mini --seed $(SEED) --lmdb data/identities-mini/lmdb --out $@

ifneq ($(DATASET),synthetic)
# A make of its own, as what is set here for photographs is not meant for rendered faces.
models/mini/synthetic-none.caffemodel: | $(READY)
	@env -i PATH="$$PATH" HOME="$$HOME" XDG_CACHE_HOME="$${XDG_CACHE_HOME:-}" CAFFE_ROOT="$(CAFFE_ROOT)" $(MAKE) --no-print-directory $@
endif

models/vgg_face/VGG_FACE.caffemodel:
	@echo "MODEL=vgg_face: make weights downloads VGG_FACE.caffemodel, or set WEIGHTS to yours" >&2; exit 2

weights: $(READY)  ## download VGG-Face's published weights
	@test -e models/vgg_face/VGG_FACE.caffemodel || $(ATTR2FACE) weights --out models/vgg_face/VGG_FACE.caffemodel

$(FINETUNED): $(PRETRAINED) $(LMDB)/lmdb.json | $(READY)
	@$(ATTR2FACE) finetune $(WHAT) --lmdb $(LMDB) --weights $(PRETRAINED) --freeze $(FREEZE) --dropout $(DROPOUT) --epochs $(EPOCHS) --rate $(RATE) \
		--fall $(FALL) $(if $(CLASS_WEIGHTS),--weigh-classes) $(if $(filter all,$(DROPOUT_AFTER)),--dropout-everywhere) \
		$(if $(CACHE),--cache $(WORK)/cache-$(FREEZE)) --out $@

$(SCORES): $(FINETUNED) $(LMDB)/lmdb.json | $(READY)
	@$(ATTR2FACE) score $(WHAT) --lmdb $(LMDB) --weights $(FINETUNED) --out $@

$(ACTIVATIONS): $(FINETUNED) $(LMDB)/lmdb.json | $(READY)
	@$(ATTR2FACE) activations $(WHAT) --lmdb $(LMDB) --weights $(FINETUNED) --layer $(LAYER) --out $@

$(CGMM): $(ACTIVATIONS) | $(READY)
	@$(ATTR2FACE) cgmm --seed $(SEED) --activations $(ACTIVATIONS) --rate $(CGMM_RATE) --out $@

baseline: $(WORK)/judge.h5  ## HOG and mean colours with ridge regression, on the same unseen people

# The judge of rendered faces knows other people than the nets do; of photographs there are no others.
$(WORK)/judge.h5: $(LMDB)/lmdb.json | $(READY)
	@$(ATTR2FACE) judge $(WHAT) --lmdb $(LMDB) --out $@

data/judged-$(SIZE)/attributes.txt: data/heads.csv data/frequencies.csv data/correlations.csv | $(READY)
	@$(ATTR2FACE) data --out $(@D) --people 1500 --pictures 6 --size $(SIZE) --seed $$(( $(SEED) + 2000 ))

$(JUDGED)/lmdb/lmdb.json: data/judged-$(SIZE)/attributes.txt | $(READY)
	@$(ATTR2FACE) lmdb $(WHAT) --faces data/judged-$(SIZE) --margin $(MARGIN) --out $(@D)

$(JUDGED)/judge.h5: $(JUDGED)/lmdb/lmdb.json | $(READY)
	@$(ATTR2FACE) judge $(WHAT) --lmdb $(JUDGED)/lmdb --out $@

evaluate: $(CGMM) $(EIGENFACES) $(JUDGE) $(PRETRAINED)  ## faces for the attributes of unseen people, before a judge
	@$(ATTR2FACE) evaluate $(MADE_FROM) --judge $(JUDGE) --identities $(PRETRAINED) --images $(IMAGES) --out $(EVALUATION)

invert: $(FINETUNED) $(WORK)/eigenfaces.h5  ## photographs from their activations, layer by layer; of test people, or PHOTO
	@$(ATTR2FACE) invert $(WHAT) --lmdb $(LMDB) --weights $(FINETUNED) --eigenfaces $(WORK)/eigenfaces.h5 $(addprefix --photo ,$(PHOTO)) --out $(INVERSION)

experiments: $(PRETRAINED) $(LMDB)/lmdb.json | $(READY)  ## the finetuning experiments of GRID, in a table
	@$(ATTR2FACE) experiments $(WHAT) --lmdb $(LMDB) --weights $(PRETRAINED) --epochs $(EPOCHS) --rate $(RATE) \
		--grid $(GRID) --out $(EXPERIMENTS)

bench: $(ACTIVATIONS)  ## speeds, side by side with Caffe's own tools
	@$(ATTR2FACE) bench --model $(MODEL) --faces $(FACES) --lmdb $(LMDB) --weights $(FINETUNED) --activations $(ACTIVATIONS) --torch "$(TORCH)"

sheet: | $(READY)  ## a rendered person without and with each of the 73 attributes
	@$(ATTR2FACE) sheet --out docs/attributes.jpg

diagnose: $(CGMM)  ## what activations and attributes are like, and what the heads see in each target
	@$(ATTR2FACE) diagnose $(WHAT) --lmdb $(LMDB) --weights $(FINETUNED) --activations $(ACTIVATIONS) --cgmm $(CGMM) \
		--out $(DIAGNOSIS)

gradcheck: $(ACTIVATIONS)  ## compare the cGMM's gradient with central differences
	@$(ATTR2FACE) gradcheck --seed $(SEED) --activations $(ACTIVATIONS)

$(WORK)/eigenfaces.h5: $(LMDB)/lmdb.json | $(READY)
	@$(ATTR2FACE) eigenfaces $(WHAT) --lmdb $(LMDB) --out $@

attrs: $(READY)
	@$(ATTR2FACE) attrs "$(ATTRS)"

generate: attrs $(CGMM) $(EIGENFACES)  ## a face with the attributes ATTRS
	@$(ATTR2FACE) generate $(MADE_FROM) $(if $(ANIMATE),--animate) --attrs "$(ATTRS)" --folder $(RESULTS) $(if $(OUT),--out "$(OUT)")

paper: $(CGMM) $(SCORES) $(WORK)/eigenfaces.h5 | $(READY)  ## every figure and table of the paper, in one report
	@$(MAKE) --no-print-directory experiments GRID=data/table1.csv
	@$(MAKE) --no-print-directory diagnose evaluate invert
	@$(ATTR2FACE) paper $(WHAT) --lmdb $(LMDB) --weights $(FINETUNED) --identities $(PRETRAINED) --cgmm $(CGMM) --eigenfaces $(WORK)/eigenfaces.h5 \
		--scores $(SCORES) --experiments $(RESULTS)/table1$(call given,EPOCHS RATE) --diagnosis $(DIAGNOSIS) --evaluation $(EVALUATION) \
		--inversion $(INVERSION) --layer $(LAYER) --out $(RESULTS)

# What notebooks and the demo read.
SHOWN := $(CGMM) $(SCORES) $(WORK)/eigenfaces.h5 $(JUDGE)
export ATTR2FACE_FILES = {"dataset": "$(DATASET)", "model": "$(MODEL)", "gpu": "$(GPU)", "lmdb": "$(abspath $(LMDB))", "weights": "$(abspath $(FINETUNED))", \
	"pretrained": "$(abspath $(PRETRAINED))", "activations": "$(abspath $(ACTIVATIONS))", "cgmm": "$(abspath $(CGMM))", \
	"eigenfaces": "$(abspath $(WORK))/eigenfaces.h5", "judge": "$(abspath $(JUDGE))"}

notebooks: $(SHOWN)  ## execute the notebooks on what was trained, as pages in results/
	@TQDM_DISABLE=1 .venv/bin/jupyter nbconvert --execute --to html --output-dir $(RESULTS)/notebooks notebooks/[1-6]_*.ipynb

jupyter: $(SHOWN)  ## open the notebooks
	@.venv/bin/jupyter lab --ServerApp.ip=127.0.0.1 notebooks

demo: $(SHOWN)  ## a page to tick attributes on and watch the face emerge, at 127.0.0.1:$(PORT)
	@.venv/bin/voila notebooks/demo.ipynb --Voila.ip=127.0.0.1 --port=$(PORT) --no-browser

nets: $(READY)  ## write the committed prototxt files again
	@$(ATTR2FACE) nets --out prototxt

test: $(READY) lint  ## lint, unit tests and a small end-to-end run
	@$(PYTHON) -m pytest

lint: $(READY)
	@.venv/bin/ruff check && .venv/bin/ruff format --check

clean:  ## remove rendered faces, trained weights and results; keep downloads, .venv and Caffe
	rm -rf $(addprefix data/,synthetic-* identities* judged-* *-mini *-vgg_face) results
	rm -rf $(addprefix models/mini/,*.caffemodel *.csv *.json *.prototxt *.solverstate) $(addprefix models/vgg_face/,*-*)

distclean: clean  ## remove .venv and the Caffe built in the cache, too
	rm -rf .venv "$${XDG_CACHE_HOME:-$$HOME/.cache}/attr2face"
