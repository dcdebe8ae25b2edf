/** For whoever runs the switch: is it alive, can it work, what does it measure. */
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { Counter, collectDefaultMetrics } from 'prom-client'
import type { Metrics } from '../metrics.ts'
import { jsonResponse } from './problem.ts'

export interface HealthParts {
  readonly ledger: { readonly available: boolean }
  readonly hotState: { readonly up: boolean }
  /** Bread and ration without the ledger (src/standInLine.ts). */
  readonly standIn: { readonly isPossible: boolean }
  /** Whether other processes reach the ledger (src/ledgerSeen.ts). */
  readonly ledgerSeen: { readonly byOthers: boolean }
  readonly metrics: Pick<Metrics, 'registry'>
  /** Absent: this process is alone. */
  readonly workers?: Workers | undefined
}

/** The other processes that share the port (src/workers/seat.ts). */
interface Workers {
  readonly group: { readonly wanted: number; readonly listening: number }
  share(registry: Metrics['registry']): void
  metrics(): Promise<string>
}

const LEDGER_DOWN = 'Postgres cannot be reached or takes no writes: all is answered 91'
const LEDGER_STOOD_IN_FOR =
  'Postgres cannot be reached or takes no writes: bread and ration go by stand-in, all else is answered 91'
const REDIS_DOWN = 'Redis cannot be reached: decisions come from Postgres alone, slower'

const AliveSchema = Type.Object({ alive: Type.Boolean() }, { examples: [{ alive: true }] })
const PartSchema = Type.Object({ up: Type.Boolean(), detail: Type.Optional(Type.String()) })
const ReadySchema = Type.Object(
  {
    ready: Type.Boolean(),
    degraded: Type.Boolean({ description: 'Ready, but something is missing' }),
    standIn: Type.Boolean({ description: 'Ready for bread and ration only, from Redis and a journal: the ledger is away' }),
    parts: Type.Object({ ledger: PartSchema, redis: PartSchema, workers: Type.Optional(PartSchema) }),
  },
  {
    examples: [
      { ready: true, degraded: false, standIn: false, parts: { ledger: { up: true }, redis: { up: true } } },
      { ready: true, degraded: true, standIn: false, parts: { ledger: { up: true }, redis: { up: false, detail: REDIS_DOWN } } },
      {
        ready: true,
        degraded: true,
        standIn: true,
        parts: { ledger: { up: false, detail: LEDGER_STOOD_IN_FOR }, redis: { up: true } },
      },
    ],
  },
)

/** Not limited: an orchestrator that asks often must not be told to ask less. */
const config = { rateLimit: false } as const

export function healthRoutes(app: FastifyInstance, parts: HealthParts): void {
  app.get('/healthz', { config, schema: healthSchema }, () => ({ alive: true }))

  app.get('/readyz', { config, schema: readySchema }, (_request, reply) => {
    const ready = readiness(parts)
    void reply.code(ready.ready ? 200 : 503).send(ready)
  })

  const { workers } = parts
  const { registry } = parts.metrics
  collectDefaultMetrics({ register: registry })
  const requests = new Counter({
    name: 'sarf_http_requests_total',
    help: 'HTTP requests by route and status',
    labelNames: ['route', 'status'],
    registers: [registry],
  })
  app.addHook('onResponse', (request, reply, done) => {
    // The route, not the path: labels come from a fixed list.
    requests.inc({ route: request.routeOptions.url ?? 'none', status: reply.statusCode })
    done()
  })
  app.get('/metrics', { config, schema: metricsSchema }, async (_request, reply) =>
    reply.type(registry.contentType).send(await (workers ?? registry).metrics()),
  )
  workers?.share(registry)
}

/**
 * Without Redis the switch decides from the ledger; without the ledger what may be stood in for, where that is possible, and nothing without both. Where it is this
 * process alone that does not reach the ledger, the others are ready, and it is not.
 */
function readiness({ ledger, hotState, standIn, ledgerSeen, workers }: HealthParts): Static<typeof ReadySchema> {
  const [ledgerUp, redisUp] = [ledger.available, hotState.up]
  const standsIn = !ledgerUp && redisUp && standIn.isPossible && !ledgerSeen.byOthers
  const ready = ledgerUp || standsIn
  const missing = workers === undefined ? 0 : workers.group.wanted - workers.group.listening
  return {
    ready,
    degraded: ready && (standsIn || !redisUp || missing > 0),
    standIn: standsIn,
    parts: {
      ledger: ledgerUp ? { up: true } : { up: false, detail: standsIn ? LEDGER_STOOD_IN_FOR : LEDGER_DOWN },
      redis: redisUp ? { up: true } : { up: false, detail: REDIS_DOWN },
      ...(workers === undefined
        ? {}
        : { workers: missing > 0 ? { up: false, detail: missingText(workers.group) } : { up: true } }),
    },
  }
}

function missingText({ wanted, listening }: Workers['group']): string {
  return `${String(listening)} of ${String(wanted)} workers take messages; the others are being started`
}

const healthSchema = {
  summary: 'Is the process alive?',
  tags: ['operation'],
  response: { 200: jsonResponse('It is', AliveSchema) },
}

const readySchema = {
  summary: 'Can it decide?',
  description:
    'Says which part is missing. Without Redis, or in stand-in while no process reaches the ledger, it is ready but degraded.',
  tags: ['operation'],
  response: {
    200: jsonResponse('It can', ReadySchema),
    503: jsonResponse('It cannot: see `parts`', ReadySchema),
  },
}

const metricsSchema = {
  summary: "Measurements in Prometheus's text format",
  tags: ['operation'],
  response: {
    200: {
      description: 'Messages by kind and code, latency by stage, batch sizes, queues, connections, Redis, Postgres, the process',
      content: {
        'text/plain': {
          schema: Type.String({ examples: ['sarf_messages_total{kind="purchase",code="00"} 1042'] }),
        },
      },
    },
  },
}
