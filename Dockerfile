# docker build -t attr2face . && docker run --rm -it -v "$PWD/results:/attr2face/results" attr2face make generate ATTRS="Male,Smiling"
# Caffe is compiled for the processor that builds the image; --build-arg MARCH=x86-64-v3 makes one for those since 2013.
FROM debian:12-slim
ARG MARCH
RUN apt-get update && apt-get install -y --no-install-recommends make ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /attr2face
COPY . .
RUN make setup MARCH=$MARCH && rm -rf /var/lib/apt/lists/* /root/.cache/pip
CMD ["make", "help"]
