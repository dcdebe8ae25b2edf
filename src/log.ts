/**
 * What the switch writes about itself. Logs are made by an allow list: only the fields of `LogFields` can be
 * written, none of which may hold card data; a field of another name does not compile.
 */
import { pino } from 'pino'

export interface LogFields {
  readonly link?: string
  readonly remote?: string
  /** DE 41. */
  readonly terminalId?: string
  readonly reason?: string
  readonly error?: string
  readonly port?: number
  readonly epoch?: number
  readonly shard?: number
  readonly count?: number
  readonly key?: string
  readonly stage?: string
  readonly elapsedMs?: number
  readonly path?: string
  readonly offset?: number
}

export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

/** JSON lines on stderr, so that stdout stays with what a command was asked for. */
export function createLogger(level: string): Logger {
  return pino({ level, base: null }, pino.destination({ dest: 2, sync: false }))
}

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

function ignore(): void {
  // Nothing is written.
}

/** What may be written of an error: its name and message; ours carry no card data, the drivers' name no values. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
