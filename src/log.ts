/**
 * What the switch writes about itself. Logs are made by an allow list: only the fields of `LogFields` can be written, none of which may hold
 * card data. A field of another name does not compile, and where it comes past the compiler it is left out.
 *
 * The texts in those fields are made by us, or are an error's message, which may quote what its driver was given. So that is looked through a
 * second time: digits that can be a card number or a national ID are hidden. That is a net under the list and no more: it finds digits in one piece
 * only, and one in ten other numbers of that length is hidden too.
 */
import { pino, type DestinationStream } from 'pino'
import { Pan } from './card.ts'
import { NationalId } from './personalData.ts'

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
  /** Check value of a key. */
  readonly kcv?: string
  readonly key?: string
  readonly stage?: string
  readonly elapsedMs?: number
  readonly path?: string
  readonly offset?: number
  /** Slot of a worker process. */
  readonly worker?: number
  readonly pid?: number
  readonly delayMs?: number
}

/** The allow list as it is applied, with the type that each may have. */
const ALLOWED: Readonly<Record<keyof LogFields, 'string' | 'number'>> = {
  link: 'string',
  remote: 'string',
  reason: 'string',
  error: 'string',
  port: 'number',
  epoch: 'number',
  shard: 'number',
  count: 'number',
  kcv: 'string',
  terminalId: 'string',
  key: 'string',
  stage: 'string',
  elapsedMs: 'number',
  path: 'string',
  offset: 'number',
  worker: 'number',
  pid: 'number',
  delayMs: 'number',
}

export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

/**
 * JSON lines on stderr, so that stdout stays with what a command was asked for.
 *
 * @param destination elsewhere than stderr: for tests
 * @param base in every line
 */
export function createLogger(
  level: string,
  destination: DestinationStream = pino.destination({ dest: 2, sync: false }),
  base: Pick<LogFields, 'worker'> = {},
): Logger {
  return pino(
    {
      level,
      base,
      hooks: {
        // Asked for the levels that are written only.
        logMethod([fields, message]: unknown[], write) {
          write.call(this, allowed(fields), typeof message === 'string' ? withoutNumbers(message) : '')
        },
      },
    },
    destination,
  )
}

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

function ignore(): void {
  // Nothing is written.
}

/** What may be written of an error: its name and message; ours carry no card data, the drivers' seldom a value. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

function allowed(fields: unknown): Record<string, string | number> {
  const written: Record<string, string | number> = {}
  if (typeof fields !== 'object' || fields === null) return written
  for (const [name, type] of Object.entries(ALLOWED)) {
    const value = (fields as Readonly<Record<string, unknown>>)[name]
    if (typeof value === 'string' && type === 'string') written[name] = withoutNumbers(value)
    else if (typeof value === 'number' && type === 'number') written[name] = value
  }
  return written
}

/** Card numbers have 12 to 19 digits (ISO/IEC 7812-1), national IDs 14. */
function withoutNumbers(text: string): string {
  return text.replace(/(?<!\d)\d{12,19}(?!\d)/g, (digits) => String(Pan.parse(digits) ?? NationalId.parse(digits) ?? digits))
}
