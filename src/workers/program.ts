/** What `node src/main.ts` does, the container's command: the switch in this process, or with `--workers N` a primary process and N workers. */
import { parseArgs } from 'node:util'
import { ConfigError, loadConfig, type Config } from '../config.ts'
import { createLogger, errorText, type Logger } from '../log.ts'
import { StartFailed } from './member.ts'
import { Primary } from './primary.ts'
import type { Seat } from './seat.ts'
import type { Served } from './served.ts'
import { isWorker, renew, serveAsWorker } from './workerProcess.ts'

export type StartSwitch = (config: Config, options: StartOptions) => Promise<Served>

interface StartOptions {
  readonly workers?: Seat
  readonly log?: Logger
}

/** @param file of the program itself, which workers run too */
export async function runProgram(file: string, start: StartSwitch): Promise<void> {
  try {
    const { workers, slot } = readOptions()
    const config = loadConfig(undefined, workers)
    if (isWorker()) {
      const log = createLogger(config.logLevel, undefined, { worker: slot })
      await serveAsWorker((seat) => start(config, { workers: seat, log }))
    } else if (config.workers.count > 1) await runPrimary(file, config)
    else await runAlone(config, start)
  } catch (error) {
    // A worker has said it already.
    if (!(error instanceof StartFailed)) say(error)
    process.exit(1)
  }
}

async function runAlone(config: Config, start: StartSwitch): Promise<void> {
  const started: { running?: Served } = {}
  // From the beginning on: without a listener the signal would end the process.
  if (hasTls(config)) process.on('SIGHUP', () => renew(started.running))
  const running = (started.running = await start(config, {}))
  endOnSignals('once', () => running.drain())
}

async function runPrimary(program: string, config: Config): Promise<void> {
  const primary = new Primary({ program, config, log: createLogger(config.logLevel) })
  // From the beginning on, and more than once: Ctrl-C in a terminal reaches the workers too, and must not cut their drain short.
  endOnSignals('on', () => primary.drain())
  process.on('SIGHUP', () => {
    primary.renewCertificates()
  })
  process.on('SIGUSR2', () => void primary.restart())
  await primary.start()
  void primary.failed.then((error) => {
    say(error)
    process.exit(1)
  })
}

function endOnSignals(how: 'on' | 'once', drain: () => Promise<void>): void {
  let drained: Promise<void> | undefined
  const stop = (): void => {
    drained ??= drain().then(
      () => process.exit(0),
      (error: unknown) => {
        say(error)
        process.exit(1)
      },
    )
  }
  process[how]('SIGTERM', stop)
  process[how]('SIGINT', stop)
}

function hasTls({ links }: Config): boolean {
  return links.some(({ tls }) => tls !== undefined)
}

function say(error: unknown): void {
  process.stderr.write(`sarf: ${error instanceof ConfigError ? error.message : errorText(error)}\n`)
}

/** @throws ConfigError */
function readOptions(): { readonly workers: string | undefined; readonly slot: number } {
  let values
  try {
    ;({ values } = parseArgs({ options: { workers: { type: 'string' }, slot: { type: 'string', default: '1' } } }))
  } catch (error) {
    throw new ConfigError(`${error instanceof Error ? error.message : String(error)}; there are --workers N and --slot N`)
  }
  if (!/^[1-9]\d{0,2}$/.test(values.slot)) throw new ConfigError(`--slot must be a number from 1 to 999, not "${values.slot}"`)
  return { workers: values.workers, slot: Number(values.slot) }
}
