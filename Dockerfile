# A hub in a container:
#
#   docker build --tag dogear .
#   docker run --publish 7600:7600 --volume dogear:/var/lib/dogear --volume ./dogear.json:/etc/dogear/dogear.json:ro dogear

FROM debian:trixie-slim AS node
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates nodejs \
  && rm -rf /var/lib/apt/lists/*

FROM node AS build
RUN apt-get update \
  && apt-get install --yes --no-install-recommends npm \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# Built with all there is, and then left with what the hub needs to run. No package's own scripts are run.
RUN npm ci --ignore-scripts \
  && npx tsc --build server server/src/demo/page \
  && node scripts/bundle.js \
  && npm ci --ignore-scripts --omit=dev --workspace=@dogear/server \
  && mkdir /app \
  && mv node_modules shared client server /app \
  && rm -rf /app/*/src

FROM node
ENV NODE_ENV=production
# By number, so that it can be seen from outside that it is not root.
RUN mkdir --mode=700 /var/lib/dogear && chown 7600:7600 /var/lib/dogear
COPY --from=build /app /app
WORKDIR /var/lib/dogear
USER 7600:7600
VOLUME /var/lib/dogear
EXPOSE 7600
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7600/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/server/dist/main.js"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/var/lib/dogear", "--config", "/etc/dogear/dogear.json"]
