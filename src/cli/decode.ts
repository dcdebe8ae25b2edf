/** `sarf decode`: explains one message, whole or broken. */
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { decode } from '../iso8583/decode.ts'
import { describe, inspect } from '../iso8583/describe.ts'
import { messageSpec, SPEC_NAMES, type MessageSpec, type SpecName } from '../iso8583/messageSpec.ts'

/** Exit codes: 0 a valid message, 1 a broken one, 2 the command was used wrongly. */
export function decodeCommand(): Command {
  const command = new Command('decode')
    .description('Explain an ISO 8583 message: bitmap, fields with offset and meaning, nested TLV. Card data is masked.')
    .argument('[input]', 'the message in hex or base64; "-" or nothing reads standard input')
    .addOption(new Option('--spec <name>', 'dialect of the message').choices(SPEC_NAMES).default('ascii'))
    .addOption(new Option('--framing <kind>', 'frame header to take off first').choices(FRAMINGS).default('none'))
    .addOption(new Option('--encoding <kind>', 'how the input is written').choices(ENCODINGS).default('auto'))
    .option('--file <path>', 'read the message from a file: its bytes, or hex or base64 text')
    .option('--json', 'print the description as JSON')
    .addHelpText('after', '\nExit codes: 0 the message is valid, 1 it is broken, 2 wrong usage.')
  command.exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE)
  })
  command.action((input: string | undefined, options: DecodeOptions) => {
    const output = command.configureOutput()
    const print = (text: string) => output.writeOut?.(text)
    try {
      process.exitCode = run(input, options, print)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
    }
  })
  return command
}

const FRAMINGS = ['none', 'length2', 'length2-tpdu', 'length4'] as const
const ENCODINGS = ['auto', 'hex', 'base64', 'raw'] as const
const EXIT_BROKEN = 1
const EXIT_USAGE = 2
const TPDU_BYTES = 5

type Framing = (typeof FRAMINGS)[number]
type Encoding = (typeof ENCODINGS)[number]

interface DecodeOptions {
  readonly spec: SpecName
  readonly framing: Framing
  readonly encoding: Encoding
  readonly file?: string
  readonly json?: true
}

class UsageError extends Error {
  override readonly name = 'UsageError'
}

function run(input: string | undefined, options: DecodeOptions, print: (text: string) => void): number {
  if (input !== undefined && options.file !== undefined) throw new UsageError('give the message or --file, not both')
  const spec = messageSpec(options.spec)
  const read = interpret(
    readInput(input, options.file),
    options.encoding,
    (bytes) => unframe(bytes, options.framing).message,
    spec,
  )
  const { message, note } = unframe(read, options.framing)
  const description = inspect(spec, message, { mask: true })
  const ok = description.ok && note === undefined
  if (options.json === true)
    print(JSON.stringify({ ...description, ok, ...(note === undefined ? {} : { frame: note }) }, undefined, 2) + '\n')
  else print(`${note === undefined ? '' : `frame: ${note}\n`}${describe(spec, message, { mask: true })}`)
  return ok ? 0 : EXIT_BROKEN
}

function readInput(input: string | undefined, file: string | undefined): Buffer {
  if (input !== undefined && input !== '-') return Buffer.from(input, 'utf8')
  try {
    return readFileSync(file ?? STDIN)
  } catch (error) {
    throw new UsageError(`cannot read ${file ?? 'standard input'}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const STDIN = 0

/**
 * Hex, base64 or the bytes themselves: the reading that gives a valid message, else the first that is possible. Text of
 * the ascii and hex dialects can look like hex itself, so the form alone does not tell.
 */
function interpret(input: Buffer, encoding: Encoding, strip: (bytes: Buffer) => Buffer, spec: MessageSpec): Buffer {
  const text = input.toString('latin1').replace(/[\s:]/g, '')
  const hex = /^([0-9A-Fa-f]{2})+$/.test(text) ? Buffer.from(text, 'hex') : undefined
  const base64 = /^[A-Za-z0-9+/_-]{2,}={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
  const readings = { hex, base64, raw: input.length === 0 ? undefined : input }
  if (encoding !== 'auto') {
    const reading = readings[encoding]
    if (reading === undefined) throw new UsageError(`the input is not ${encoding}`)
    return reading
  }
  const possible = [hex, base64, readings.raw].filter((reading) => reading !== undefined)
  const first = possible[0]
  if (first === undefined) throw new UsageError('the input is empty')
  return possible.find((reading) => decode(spec, strip(reading)).ok) ?? first
}

interface Unframed {
  readonly message: Buffer
  /** What is wrong with the frame. */
  readonly note?: string
}

function unframe(bytes: Buffer, framing: Framing): Unframed {
  const header = framing === 'none' ? 0 : framing === 'length4' ? 4 : 2
  if (bytes.length < header) return { message: Buffer.alloc(0), note: `${String(bytes.length)} bytes are no header` }
  const digits = bytes.toString('latin1', 0, 4)
  if (framing === 'length4' && !/^\d{4}$/.test(digits)) return { message: bytes, note: 'no length of four digits in front' }
  const rest = bytes.subarray(header)
  const length = framing === 'none' ? rest.length : framing === 'length4' ? Number(digits) : bytes.readUInt16BE(0)
  const tpdu = framing === 'length2-tpdu' ? TPDU_BYTES : 0
  const note = length === rest.length ? undefined : `the header says ${String(length)} bytes, ${String(rest.length)} follow`
  if (rest.length < tpdu) return { message: Buffer.alloc(0), note: note ?? `${String(rest.length)} bytes are no TPDU` }
  return { message: rest.subarray(tpdu), ...(note === undefined ? {} : { note }) }
}
