# The whole server in one container: log, views and vault are three SQLite files in /data.
FROM node:24.21.0-slim

ENV NODE_ENV=production \
    RUNLEDGER_HOST=0.0.0.0 \
    RUNLEDGER_PORT=8080 \
    RUNLEDGER_DATA=/data

WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force
COPY LICENSE ./
COPY shared ./shared
COPY projections ./projections
COPY services ./services

# A new volume takes this folder's owner and mode. Nothing else is ever written, so that the root can be read-only.
RUN mkdir --mode=0700 /data && chown node:node /data
VOLUME /data
USER node
EXPOSE 8080

HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.RUNLEDGER_PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# No npm in between: SIGTERM must reach the server, which finishes what is in flight.
CMD ["node", "services/main.ts"]
