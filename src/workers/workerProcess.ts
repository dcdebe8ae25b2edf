/** What a worker does when its primary, or a signal of its own, tells it to. */
import cluster from 'node:cluster'
import type { Registry } from 'prom-client'
import type { GroupState, Measured, ToPrimary, ToWorker } from './messages.ts'
import type { Seat } from './seat.ts'
import type { Served } from './served.ts'

const METRICS_MS = 3000

export function isWorker(): boolean {
  return cluster.isWorker
}

/** Starts the switch and serves until it is told to leave; the process ends then. @throws what `start` throws */
export async function serveAsWorker(start: (seat: Seat) => Promise<Served>): Promise<void> {
  const seat = new PrimarySeat()
  const started: { running?: Served } = {}
  let leaving = false
  const leave = (): void => {
    if (leaving) return
    leaving = true
    // What has not begun to serve has nothing to drain.
    if (started.running === undefined) process.exit(0)
    started.running.drain().then(
      async () => {
        tell({ kind: 'leaving', measured: await seat.measured() }, () => process.exit(0))
      },
      (error: unknown) => {
        process.stderr.write(`sarf: ${String(error)}\n`)
        process.exit(1)
      },
    )
  }
  // A signal from a terminal or a service manager goes to all processes, and may come twice; these two are the primary's to follow.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, leave)
  for (const signal of ['SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined)
  process.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'connections':
        started.running?.takeConnections(message.taking)
        break
      case 'drain':
        leave()
        break
      case 'renewCertificates':
        renew(started.running)
        break
      default:
        seat.received(message)
    }
  })
  const running = (started.running = await start(seat))
  tell({ kind: 'listening', addresses: running.addresses })
}

/** What is not good is not used. One that is still starting may have read the old ones: it has to be told again. */
export function renew(running: Pick<Served, 'renewCertificates'> | undefined): void {
  try {
    if (running === undefined) throw new Error('the switch is still starting; send SIGHUP again when it has')
    running.renewCertificates()
    process.stderr.write('sarf: certificates were read again\n')
  } catch (error) {
    process.stderr.write(`sarf: the old certificates stay in use: ${String(error)}\n`)
  }
}

class PrimarySeat implements Seat {
  /** Until the primary has told: not complete. */
  group: GroupState = { wanted: 1, listening: 0 }
  readonly #asked = new Map<number, (text: string) => void>()
  #registry: Pick<Registry, 'getMetricsAsJSON'> | undefined
  #count = 0

  share(registry: Pick<Registry, 'getMetricsAsJSON'>): void {
    this.#registry = registry
  }

  async measured(): Promise<Measured> {
    return (await this.#registry?.getMetricsAsJSON()) ?? []
  }

  async metrics(): Promise<string> {
    const id = ++this.#count
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    this.#asked.set(id, resolve)
    const timer = setTimeout(() => {
      reject(new Error('the primary process does not answer'))
    }, METRICS_MS)
    tell({ kind: 'askMetrics', id })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#asked.delete(id)
    }
  }

  received(message: Extract<ToWorker, { kind: 'measure' | 'group' | 'metrics' }>): void {
    switch (message.kind) {
      case 'measure':
        void this.measured().then((measured) => {
          tell({ kind: 'measured', id: message.id, measured })
        })
        break
      case 'group':
        this.group = message.state
        break
      case 'metrics':
        this.#asked.get(message.id)?.(message.text)
        break
    }
  }
}

/** @param then called when it has been written, or never will be */
function tell(message: ToPrimary, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, then)
  else then()
}
