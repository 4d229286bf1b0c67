# The lab on a CUDA machine: docker build -t visionarium . && docker run --gpus all -p 127.0.0.1:8501:8501 -v visionarium:/home/lab/.visionarium visionarium
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends curl tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 lab

WORKDIR /srv/visionarium
COPY pyproject.toml README.md ./
COPY engine engine
COPY lab lab
RUN pip install --no-cache-dir --editable .
COPY pages pages
COPY assets assets

RUN mkdir -p /home/lab/.visionarium && chown -R lab:lab /home/lab/.visionarium /srv/visionarium
USER lab
ENV VISIONARIUM_HOME=/home/lab/.visionarium
VOLUME /home/lab/.visionarium
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD curl --fail --silent http://127.0.0.1:8501/_stcore/health || exit 1
# tini reaps the supervisors of runs, which outlive the page that started them.
ENTRYPOINT ["tini", "--"]
CMD ["visionarium", "app", "--host", "0.0.0.0", "--port", "8501"]
