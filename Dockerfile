# The product alone: `docker build -t saveline .`; with the simulators: `--target world`.
FROM python:3.11-slim AS product
# Compiled once, here: nothing is written later, so that every start would compile all it loads.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UV_COMPILE_BYTECODE=1
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
# The locked versions with their hashes, of what the product needs and nothing that only its tests do.
RUN pip install --no-cache-dir "$(grep -oE '^uv==[0-9.]+' requirements.lock)"
COPY schemas/ schemas/
COPY state/ state/
COPY connectors/ connectors/
COPY streams/ streams/
RUN uv pip install --system --no-cache --constraints requirements.lock . && uv pip check --system
RUN useradd --uid 10001 --no-create-home saveline && install -d -o saveline /data
ENV SAVELINE_DATA_FOLDER=/data/state SAVELINE_HTTP_HOST=0.0.0.0
WORKDIR /data
VOLUME /data
USER saveline
ENTRYPOINT ["saveline"]
CMD ["--help"]

FROM product AS world
USER root
RUN uv pip install --system --no-cache --constraints /app/requirements.lock aiosmtpd espeakng-loader numpy
COPY tests/ /app/tests/
ENV PYTHONPATH=/app
USER saveline
ENTRYPOINT ["saveline"]
CMD ["up", "--folder", "/data/up"]
