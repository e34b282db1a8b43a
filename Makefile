# Faces from attributes: `make generate ATTRS="Male,Smiling"`. Each target runs a command of attr2face, which
# finds what is already made and makes the rest. Variables on make's command line are settings; `make help`
# lists both, `make config` what is in force.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Of the set-up. Empty unless given on make's command line: the environment is not asked.
GPU :=
CAFFE_ROOT :=
SCHEDULER :=
CUDA_ARCH :=
MARCH :=
CONDA :=

# All variables that were given on make's command line, quoted for the shell; attr2face refuses those that it
# does not know.
quote = '$(subst ','\'',$(1))'
GIVEN = $(foreach name,$(filter-out CAFFE_ROOT CUDA_ARCH MARCH CONDA,$(.VARIABLES)), \
	$(if $(filter command,$(origin $(name))),$(name)=$(call quote,$(value $(name)))))

VENV := .venv
READY := $(VENV)/ready$(subst /,_,$(CAFFE_ROOT))
ATTR2FACE := $(VENV)/bin/attr2face

.PHONY: help config status setup describe data align landmarks masks appearance textures lmdb weights pretrain finetune \
	activations cgmm \
	gradcheck diagnose generate edit invert retrain baseline evaluate experiments paper results sheet nets \
	bench notebooks jupyter demo worker test lint clean distclean

help:  ## this list
	@echo "usage: make TARGET [VARIABLE=value ...]"; echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 16
	@echo; if [ -x $(ATTR2FACE) ]; then $(ATTR2FACE) config $(GIVEN); \
		else echo "make setup first, then make config lists the variables"; fi

config: $(READY)  ## the settings in force
	@$(ATTR2FACE) config $(GIVEN)
status: $(READY)  ## what is already made, its size, and from what
	@$(ATTR2FACE) status $(GIVEN)
setup: $(READY) $(if $(GPU),$(VENV)/cuda)  ## system packages, .venv and Caffe; with CUDA if GPU is given
describe: $(READY)  ## check a dataset, such as DATASET=/path with attributes.csv, and say what to do
	@$(ATTR2FACE) describe $(GIVEN)
data: $(READY)  ## render the faces of DATASET=synthetic, or download those of lfw or pubfig
	@$(ATTR2FACE) data $(GIVEN)
align: $(READY)  ## the eyes in the photographs of DATASET, with ALIGN=1, and some of them aligned
	@$(ATTR2FACE) align $(GIVEN)
landmarks: $(READY)  ## landmarks of faces, and who looks ahead: a table, and some pictures with them
	@$(ATTR2FACE) landmarks $(GIVEN)
masks: $(READY)  ## the parts of heads in the photographs of DATASET, and some of them cut out
	@$(ATTR2FACE) masks $(GIVEN)
appearance: $(READY)  ## the appearance model: how shapes and textures of faces vary
	@$(ATTR2FACE) appearance $(GIVEN)
textures: $(READY)  ## the pictures of the appearance model in its mean shape, for setup/detail.py
	@$(ATTR2FACE) textures $(GIVEN)
lmdb: $(READY)  ## LMDBs of images and labels
	@$(ATTR2FACE) lmdb $(GIVEN)
weights: $(READY)  ## download VGG-Face's published weights
	@$(ATTR2FACE) weights $(GIVEN)
pretrain: $(READY)  ## mini on the identities of other rendered people
	@$(ATTR2FACE) pretrain $(GIVEN)
finetune: $(READY)  ## the 42 heads, and their scores on unseen people
	@$(ATTR2FACE) finetune $(GIVEN)
activations: $(READY)  ## activations of LAYER for all images
	@$(ATTR2FACE) activations $(GIVEN)
cgmm: $(READY)  ## a Gaussian per attribute, and the weights
	@$(ATTR2FACE) cgmm $(GIVEN)
gradcheck: $(READY)  ## the gradients of the cGMM and of drawing heads beside central differences
	@$(ATTR2FACE) gradcheck $(GIVEN)
diagnose: $(READY)  ## what activations, attributes and targets are like
	@$(ATTR2FACE) diagnose $(GIVEN)
generate: $(READY)  ## a face with the attributes ATTRS, in results/ or OUT
	@$(ATTR2FACE) generate $(GIVEN)
edit: $(READY)  ## a photograph PHOTO with attributes ATTRS given, or taken away: Smiling,!Eyeglasses
	@$(ATTR2FACE) edit $(GIVEN)
retrain: $(READY)  ## all that faces are made from in one small file, compared with the one in models/
	@$(ATTR2FACE) retrain $(GIVEN)
invert: $(READY)  ## photographs from their activations, of test people or PHOTO; or from ACTIVATIONS
	@$(ATTR2FACE) invert $(GIVEN)
baseline: $(READY)  ## ridge regression on HOG and colours, on the same unseen people
	@$(ATTR2FACE) baseline $(GIVEN)
evaluate: $(READY)  ## methods of generation, before two judges
	@$(ATTR2FACE) evaluate $(GIVEN)
experiments: $(READY)  ## the finetuning experiments of GRID, in a table
	@$(ATTR2FACE) experiments $(GIVEN)
paper: $(READY)  ## every figure and table of the paper, in one page
	@$(ATTR2FACE) report $(GIVEN)
results: $(READY)  ## docs/results.json, and the tables of docs/results.md from it, for one DATASET
	@$(ATTR2FACE) results $(GIVEN)
sheet: $(READY)  ## a rendered person without and with each of the 73 attributes
	@$(ATTR2FACE) sheet $(GIVEN)
nets: $(READY)  ## write the committed prototxt files again
	@$(ATTR2FACE) nets $(GIVEN)
bench: $(READY)  ## speeds, side by side with Caffe's own tools
	@$(ATTR2FACE) bench $(GIVEN)
notebooks: $(VENV)/extras  ## execute the notebooks, as pages in results/, with small outputs in notebooks/
	@$(ATTR2FACE) notebooks $(GIVEN)
jupyter: $(VENV)/extras  ## open the notebooks
	@$(ATTR2FACE) jupyter $(GIVEN)
worker: $(VENV)/extras  ## a worker for the scheduler at SCHEDULER, with one thread, or the card GPU
	@$(ATTR2FACE) worker $(GIVEN)
demo: $(VENV)/extras  ## a page to tick attributes on and watch the face emerge, at 127.0.0.1:PORT
	@$(ATTR2FACE) demo $(GIVEN)
test: $(VENV)/extras lint  ## lint, unit tests and a small end-to-end run
	@$(VENV)/bin/python -m pytest
lint: $(VENV)/extras
	@$(VENV)/bin/ruff check && $(VENV)/bin/ruff format --check
clean: $(READY)  ## remove what no settings lead to any more, after asking (YES=1); ALL=1: all that was made
	@$(ATTR2FACE) clean $(GIVEN)
distclean:  ## remove .venv and the Caffe built in the cache
	cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/attr2face"; rm -rf $(VENV) "$$cache"/caffe-* "$$cache"/cuda-*

# Dask is among the extras.
data align landmarks masks appearance textures lmdb pretrain finetune activations cgmm gradcheck diagnose generate \
	edit invert retrain baseline evaluate experiments paper results bench: $(if $(SCHEDULER),$(VENV)/extras)

# What one face needs. The stamp names CAFFE_ROOT, and there is only one: another CAFFE_ROOT, or none, sets
# Caffe up again.
SETUP = CONDA=$(call quote,$(CONDA)) MARCH=$(call quote,$(MARCH)) CUDA_ARCH=$(call quote,$(CUDA_ARCH)) \
	CAFFE_ROOT=$(call quote,$(CAFFE_ROOT)) bash setup
$(READY): $(wildcard setup/*.sh setup/patches/*.patch) setup/onednn.txt setup/lock/core.txt pyproject.toml
	@$(SETUP)/plan.sh $(VENV)
	@$(SETUP)/system.sh
	@$(SETUP)/python.sh $(VENV) setup/lock/core.txt
	@CUDA=$(call quote,$(GPU)) $(SETUP)/caffe.sh $(VENV)
	@rm -f $(VENV)/ready*
	@touch $@

# Notebooks, the demo and the tests.
$(VENV)/extras: $(READY) setup/lock/all.txt
	@$(SETUP)/python.sh $(VENV) setup/lock/all.txt
	@touch $@

# A Caffe with CUDA in the place of the other; it runs on the CPU, too.
$(VENV)/cuda: $(READY) setup/cuda.sh setup/cuda.txt
	@CUDA=1 $(SETUP)/caffe.sh $(VENV)
	@touch $@
