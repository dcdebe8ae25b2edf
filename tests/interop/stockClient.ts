/**
 * Clients made of other libraries, run as programs of their own: they read messages as lines and print answers as JSON,
 * see the head of jpos/Client.java and moov/main.go. What they are made of is fetched where the tests run, compiled into
 * a temporary folder and kept nowhere else.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '../support/stack.ts'

export interface StockMessage {
  readonly mti: string
  /** By data element number, as the library takes them; `hex:` begins a value in bytes. */
  readonly fields: Readonly<Record<number, string>>
}

export interface StockAnswer extends StockMessage {
  /** What stood between length and message, as hexadecimal; empty where nothing did. */
  readonly header: string
}

/** How a client is started; or why this machine cannot have one. A client that should compile and does not is an error. */
export type BuiltClient = { readonly command: string; readonly args: readonly string[] } | { readonly leftOut: string }

export async function buildJposClient(): Promise<BuiltClient> {
  for (const [tool, option, name] of [
    ['java', '-version', 'Java'],
    ['javac', '-version', 'a Java compiler'],
    ['mvn', '-version', 'Maven'],
  ] as const) {
    if (!(await isInstalled(tool, option))) return leaveOut('jPOS', `${name} is not installed`)
  }
  const directory = temporaryDirectory()
  const list = join(directory, 'classpath.txt')
  const fetched = await run('mvn', [
    ...['--quiet', '--batch-mode', '--file', folder('jpos/pom.xml')],
    ...['org.apache.maven.plugins:maven-dependency-plugin:build-classpath', `-Dmdep.outputFile=${list}`],
  ])
  if (fetched.timedOut || MAVEN_UNREACHABLE.test(fetched.output)) return leaveOut('jPOS', 'org.jpos:jpos cannot be fetched')
  if (fetched.exitCode !== 0) throw new Error(`Maven cannot find what the jPOS client needs: ${fetched.output}`)
  const classpath = readFileSync(list, 'utf8')
  const compiled = await run('javac', ['-classpath', classpath, '-d', directory, folder('jpos/Client.java')])
  if (compiled.exitCode !== 0) throw new Error(`the jPOS client does not compile: ${compiled.output}`)
  return { command: 'java', args: [...SHORT_LIVED, '-classpath', `${directory}:${classpath}`, 'Client'] }
}

export async function buildMoovClient(): Promise<BuiltClient> {
  if (!(await isInstalled('go', 'version'))) return leaveOut('moov-io/iso8583', 'Go is not installed')
  const program = join(temporaryDirectory(), 'client')
  const built = await run('go', ['build', '-o', program, '.'], folder('moov'))
  if (GO_TOO_OLD.test(built.output)) return leaveOut('moov-io/iso8583', 'this Go is older than it asks for')
  if (GO_UNREACHABLE.test(built.output)) return leaveOut('moov-io/iso8583', 'the module cannot be fetched')
  if (built.exitCode !== 0) throw new Error(`the moov-io client does not compile: ${built.output}`)
  return { command: program, args: [] }
}

/** One running client with one connection. */
export class StockClient {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: NodeJS.AsyncIterator<string>
  readonly #exit: Promise<number | null>
  #complaints = ''

  /** @param args behind those that start it: what the client says it needs */
  constructor(built: BuiltClient, ...args: string[]) {
    if ('leftOut' in built) throw new Error(`there is no client: ${built.leftOut}`)
    this.#child = spawn(built.command, [...built.args, ...args])
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#complaints += chunk.toString()))
    this.#exit = new Promise((resolve) => this.#child.once('close', resolve))
    // A client that has ended is noticed by its missing answers.
    this.#child.stdin.on('error', () => {})
  }

  /** Sends all, then takes their answers, and returns these in the order of the messages; DE 11 tells them apart. */
  async ask(messages: readonly StockMessage[]): Promise<StockAnswer[]> {
    this.#child.stdin.write(`${messages.map(lineOf).join('\n')}\n\n`)
    const answers = new Map<string | undefined, StockAnswer>()
    for (let unanswered = messages.length; unanswered > 0; unanswered--) {
      const line = await this.#lines.next()
      if (line.done === true) throw new Error(`the client has ended: ${this.#complaints}`)
      const answer = JSON.parse(line.value) as StockAnswer
      answers.set(answer.fields[11], answer)
    }
    return messages.map((message) => {
      const answer = answers.get(message.fields[11])
      if (answer === undefined) throw new Error(`no answer has the trace number ${message.fields[11] ?? 'of the message'}`)
      return answer
    })
  }

  /** Exit code of the client, after it has taken all its input. */
  async close(): Promise<number | null> {
    this.#child.stdin.end()
    return this.#exit
  }
}

function lineOf({ mti, fields }: StockMessage): string {
  return [mti, ...Object.entries(fields).map(([number, value]) => `${number}=${value}`)].join('\t')
}

/** A first download takes its time; a registry that takes longer is none. */
const RUN_MS = 120_000
/** Nobody answered, or only to say no. An artifact that a registry does not know is another matter: "could not find". */
const MAVEN_UNREACHABLE = /could not transfer|failure to transfer|unknown host|in offline mode/i
const GO_UNREACHABLE = /dial tcp|no such host|i\/o timeout|TLS handshake|403 Forbidden|: 5\d\d |module lookup disabled/
const GO_TOO_OLD = /requires go >= |invalid go version/

/** A Java machine that ends within seconds is not worth optimising for. */
const SHORT_LIVED = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

interface Run {
  readonly exitCode: number | null
  readonly output: string
  readonly timedOut: boolean
}

function leaveOut(library: string, reason: string): BuiltClient {
  process.stderr.write(`interoperability with ${library} is left out: ${reason}\n`)
  return { leftOut: reason }
}

async function isInstalled(tool: string, versionOption: string): Promise<boolean> {
  return (await run(tool, [versionOption])).exitCode === 0
}

/** A tool that is not there ends with exit code null. */
function run(tool: string, args: readonly string[], directory: string = folder('.')): Promise<Run> {
  const env = {
    ...process.env,
    // Go would fetch another Go where this one is too old.
    GOTOOLCHAIN: 'local',
    MAVEN_OPTS: [process.env['MAVEN_OPTS'], ...SHORT_LIVED].join(' '),
  }
  const child = spawn(tool, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_MS })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve) => {
    child.once('error', (error) => {
      resolve({ exitCode: null, output: error.message, timedOut: false })
    })
    child.once('close', (exitCode, signal) => {
      resolve({ exitCode, output, timedOut: signal === 'SIGTERM' })
    })
  })
}

function folder(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}
