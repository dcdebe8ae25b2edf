/** Calls to the API of a running switch, for commands: where it is, whose token is shown, and what an answer means. */
import { randomUUID } from 'node:crypto'
import { createWriteStream, renameSync, rmSync, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { ROLES, type Role } from '../admin/access/roles.ts'
import { developmentToken } from '../admin/access/tokens.ts'
import { ConfigError } from '../config.ts'
import { runningStack } from '../local/running.ts'
import { offlineConfig } from './offlineConfig.ts'
import { UsageError } from './usageError.ts'

export interface ApiOptions {
  readonly url?: string
  readonly token?: string
  readonly key?: string
  readonly json?: true
}

/** The switch says no: its own words. */
class Refused extends Error {
  override readonly name = 'Refused'
}

class NoConnection extends Error {
  override readonly name = 'NoConnection'
}

export type Answer = Readonly<Record<string, unknown>>

export interface Api {
  get(path: string): Promise<Answer>
  /** With an Idempotency-Key: the one that was given, else a new one. */
  post(path: string, body: object): Promise<Answer>
  /** The same for what takes longer: minutes, where there is much of it. */
  postLong(path: string, body: object): Promise<Answer>
  put(path: string, body: object): Promise<Answer>
  /** A file as it is. */
  upload(path: string, file: Uint8Array<ArrayBuffer>, contentType: string): Promise<Answer>
  /** An export as text. */
  export(path: string, contentType: string): Promise<string>
  /** Writes what is answered to a file, which is there only once it is whole. @returns its bytes */
  save(path: string, file: string, accept?: string): Promise<number>
}

/** Whose token is made where none is given. */
export interface AskedAs {
  readonly role: Role
  /** Absent: the one that all commands have. A second person needs another. */
  readonly name?: string
  readonly place?: string | undefined
}

const EXIT_REFUSED = 1
const EXIT_USAGE = 2
const EXIT_NO_CONNECTION = 3
const TOKEN_SECONDS = 300
const TIMEOUT_MS = 30_000
/** For a file, or a run of payouts, which takes longer to be done. */
const LONG_MS = 600_000
const DOWNLOAD_MS = 600_000
/** Who asks, in the audit trail, where no token was given. */
const CALLER = 'sarf-cli'

/** Adds a subcommand that calls the API. `work` gives what is printed: a text, or with --json the answer itself. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the options that callers add afterwards
export function apiCommand<Options extends ApiOptions>(
  parent: Command,
  usage: string,
  description: string,
  work: (argument: string, options: Options) => Promise<{ readonly answer: Answer; readonly text: string }>,
): Command {
  const command = parent
    .command(usage)
    .description(description)
    .option('--url <url>', 'where the API is (default: the running stack, else http.port of the configuration)', httpUrl)
    .option('--token <token>', 'bearer token (default: SARF_TOKEN, else one that a development switch takes)')
    .option('--json', 'print the answer as one JSON object')
    .addHelpText('after', '\nExit codes: 0 done, 1 refused (one line says why), 2 wrong usage, 3 no connection or no answer.')
  // Set on this one too: a wrong option of it would exit 1 otherwise.
  command.exitOverride()
  return command.action(async (...given: unknown[]) => {
    // Commander's order: arguments, options, command.
    const argument = typeof given[0] === 'string' ? given[0] : ''
    const options = given.at(-2) as Options
    const output = command.configureOutput()
    try {
      const { answer, text } = await work(argument, options)
      output.writeOut?.(options.json === true ? `${JSON.stringify(answer)}\n` : text)
    } catch (error) {
      if (error instanceof Refused) {
        // An error of commander's with code 1 would be taken for wrong usage.
        output.writeErr?.(`error: ${error.message}\n`)
        process.exitCode = EXIT_REFUSED
        return
      }
      if (error instanceof UsageError || error instanceof ConfigError)
        command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      if (!(error instanceof NoConnection)) throw error
      command.error(`error: ${error.message}`, { exitCode: EXIT_NO_CONNECTION })
    }
  })
}

export async function apiOf(options: ApiOptions, asked: AskedAs): Promise<Api> {
  const base = options.url ?? usualUrl()
  const token =
    options.token ?? process.env['SARF_TOKEN'] ?? (await ownToken({ roles: [asked.role], name: asked.name, place: asked.place }))
  const send = async (
    method: string,
    path: string,
    sent?: Sent,
    accept?: string,
  ): Promise<{ response: Response; text: string; key: string }> => {
    const key = options.key ?? randomUUID()
    const headers = {
      authorization: `Bearer ${token}`,
      ...(accept === undefined ? {} : { accept }),
      ...(sent === undefined ? {} : { 'content-type': sent.contentType, 'idempotency-key': key }),
    }
    try {
      const response = await fetch(base + path, {
        method,
        headers,
        ...(sent === undefined ? {} : { body: sent.body }),
        signal: AbortSignal.timeout(sent?.timeoutMs ?? TIMEOUT_MS),
      })
      return { response, text: await response.text(), key }
    } catch {
      const again = sent === undefined ? '' : `; whether it was done is not known where it had begun: repeat it with --key ${key}`
      throw new NoConnection(`no answer from ${base}: is the switch running (npm start)?${again}`)
    }
  }
  const ask = async (...given: Parameters<typeof send>): Promise<Answer> => {
    const { response, text, key } = await send(...given)
    const answer = parsed(text)
    if (response.ok && answer !== undefined) return answer
    throw refusalOf(response.status, answer, key)
  }
  const json = (body: object): Sent => ({ body: JSON.stringify(body), contentType: 'application/json' })
  const save = async (path: string, file: string, accept = '*/*'): Promise<number> => {
    let said
    try {
      const signal = AbortSignal.timeout(DOWNLOAD_MS)
      const response = await fetch(base + path, { headers: { authorization: `Bearer ${token}`, accept }, signal })
      if (response.ok && response.body !== null) return await saved(response.body, file)
      said = problemText(response.status, parsed(await response.text()))
    } catch (error) {
      if (isFileError(error)) throw new UsageError(`cannot write ${file}: ${error.message}`)
      throw new NoConnection(`no whole answer from ${base}: is the switch running (npm start)? Ask again; nothing was written`)
    }
    throw new Refused(said)
  }
  return {
    get: (path) => ask('GET', path),
    post: (path, body) => ask('POST', path, json(body)),
    postLong: (path, body) => ask('POST', path, { ...json(body), timeoutMs: LONG_MS }),
    put: (path, body) => ask('PUT', path, json(body)),
    upload: (path, body, contentType) => ask('POST', path, { body, contentType, timeoutMs: LONG_MS }),
    async export(path, accept) {
      const { response, text, key } = await send('GET', path, undefined, accept)
      if (!response.ok) throw refusalOf(response.status, parsed(text), key)
      return text
    },
    save,
  }
}

interface Sent {
  readonly body: string | Uint8Array<ArrayBuffer>
  readonly contentType: string
  readonly timeoutMs?: number
}

function refusalOf(status: number, answer: Answer | undefined, key: string): Error {
  const said = problemText(status, answer)
  return status === 504 ? new NoConnection(`${said} (--key ${key})`) : new Refused(said)
}

async function saved(body: ReadableStream<Uint8Array>, file: string): Promise<number> {
  const part = `${file}.part`
  try {
    await pipeline(body, createWriteStream(part))
    renameSync(part, file)
    return statSync(file).size
  } catch (error) {
    rmSync(part, { force: true })
    throw error
  }
}

/** Of this machine's files, not of the connection. */
function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'path' in error
}

/** A token as a switch outside production takes it. @throws UsageError where the switch's tokens come from elsewhere */
export async function ownToken(token: {
  readonly roles: readonly Role[]
  readonly name?: string | undefined
  readonly place?: string | undefined
  readonly seconds?: number | undefined
}): Promise<string> {
  const { access } = offlineConfig()
  if (access.kind !== 'development' || process.env['NODE_ENV'] === 'production')
    throw new UsageError('this switch takes the tokens of its own issuer only: give one with --token or SARF_TOKEN')
  const { roles, name = CALLER, place, seconds = TOKEN_SECONDS } = token
  return developmentToken({ access, roles, name, place, nowMs: Date.now(), seconds })
}

function usualUrl(): string {
  const port = runningStack()?.ports['http'] ?? offlineConfig().http.port
  return `http://127.0.0.1:${String(port)}`
}

function parsed(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Answer) : undefined
  } catch {
    return undefined
  }
}

/** What a problem says (RFC 9457), and which member it means. */
function problemText(status: number, answer: Answer | undefined): string {
  const title = typeof answer?.['title'] === 'string' ? answer['title'] : `status ${String(status)}`
  const detail = typeof answer?.['detail'] === 'string' ? answer['detail'] : title
  const errors = Array.isArray(answer?.['errors']) ? (answer['errors'] as { path?: unknown; expected?: unknown }[]) : []
  const members = errors
    .filter(({ expected }) => expected !== detail)
    .map(({ path, expected }) => `${String(path)} has to be: ${String(expected)}`)
  return [detail.replace(/\.$/, ''), ...members].join('; ')
}

function httpUrl(value: string): string {
  const url = URL.parse(value)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError('An address that begins with http:// or https://.')
  return value.replace(/\/+$/, '')
}

export function roleOf(value: string): Role {
  const role = ROLES.find((known) => known === value)
  if (role === undefined) throw new InvalidArgumentError(`There are ${ROLES.join(', ')}.`)
  return role
}

/** Names and values under each other; what is null is left out. */
export function lines(answer: Answer, names: readonly (readonly [name: string, member: string])[]): string {
  const shown = names.flatMap(([name, member]) => {
    const value = answer[member]
    if (value === null || value === undefined) return []
    return [[name, Array.isArray(value) ? value.join(', ') : textOf(value)] as const]
  })
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Rows under a head, as wide as what is in them. */
export function table(items: readonly Answer[], columns: readonly (readonly [name: string, member: string])[]): string {
  const cell = (value: unknown): string => (value === null || value === undefined ? '-' : textOf(value))
  const rows = [columns.map(([name]) => name), ...items.map((item) => columns.map(([, member]) => cell(item[member])))]
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map(
      (row) =>
        `${row
          .map((text, column) => text.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Under a table of a page: that there is more than it shows. */
export function moreText(page: Answer): string {
  return typeof page['next'] === 'string' ? 'and more: --json has the cursor of the next page (next)\n' : ''
}
