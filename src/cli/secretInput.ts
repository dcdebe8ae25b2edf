/** What a person types and nobody else should see: as bytes, because a string cannot be erased. From a terminal without echo, else from lines. */
import type { Writable, Readable } from 'node:stream'
import { UsageError } from './usageError.ts'

export interface Questions {
  /** Somebody sits in front of it, who can look and answer. */
  readonly interactive: boolean
  /** A line, not echoed. @returns the caller's to zero. @throws UsageError where the input has ended, or Ctrl-C was pressed */
  secret(prompt: string): Promise<Buffer>
  /** A line, echoed. @throws the same */
  answer(prompt: string): Promise<string>
  /** To whoever sits there. */
  say(text: string): void
  close(): void
}

export interface QuestionsInput extends Readable {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

/** @param output where prompts go; nothing that is typed does */
export function questions(input: QuestionsInput, output: Writable): Questions {
  const interactive = input.isTTY === true
  const chunks = input.iterator({ destroyOnReturn: false })
  let chunk: Buffer = NOTHING
  let at = 0

  const nextByte = async (): Promise<number | undefined> => {
    while (at >= chunk.length) {
      chunk.fill(0)
      const next: IteratorResult<unknown, unknown> = await chunks.next()
      if (next.done === true) return undefined
      chunk = Buffer.isBuffer(next.value) ? next.value : Buffer.from(String(next.value))
      at = 0
    }
    return chunk[at++]
  }

  const line = async (raw: boolean): Promise<Buffer> => {
    const typed = Buffer.alloc(LINE_BYTES_MAX)
    let length = 0
    const fail = (text: string): never => {
      typed.fill(0)
      throw new UsageError(text)
    }
    for (;;) {
      const byte = await nextByte()
      if (byte === undefined || (raw && byte === END_OF_TRANSMISSION)) {
        if (length === 0) fail('the input has ended: a line is missing')
        break
      }
      if (raw && byte === INTERRUPT) fail('interrupted: nothing was stored')
      if (byte === LINE_FEED || (raw && byte === CARRIAGE_RETURN)) break
      if (raw && (byte === BACKSPACE || byte === DELETE)) {
        if (length > 0) typed[--length] = 0
        continue
      }
      if (length === LINE_BYTES_MAX) fail('the line is too long')
      typed[length++] = byte
    }
    if (typed[length - 1] === CARRIAGE_RETURN) length--
    const result = Buffer.from(typed.subarray(0, length))
    typed.fill(0)
    return result
  }

  let isRaw = false
  /** Raw, a terminal echoes nothing. It stays so until an answer is asked for: what is pasted in one go is not shown in between either. */
  const setRaw = (raw: boolean): void => {
    if (raw !== isRaw) input.setRawMode?.(raw)
    isRaw = raw
  }

  const prompted = async (prompt: string, raw: boolean): Promise<Buffer> => {
    if (!interactive) return await line(false)
    // Before the prompt, because somebody may be quick.
    setRaw(raw)
    output.write(prompt)
    if (!raw) return await line(false)
    try {
      return await line(true)
    } finally {
      output.write('\n')
    }
  }

  return {
    interactive,
    secret: (prompt) => prompted(prompt, true),
    answer: async (prompt) => (await prompted(prompt, false)).toString('utf8').trim(),
    say: (text) => {
      output.write(text)
    },
    close: () => {
      chunk.fill(0)
      setRaw(false)
      // A terminal that is listened to keeps the process alive.
      input.destroy()
    },
  }
}

/** Hexadecimal digits with blanks between them; undefined for anything else. @returns the caller's to zero */
export function bytesOfHex(line: Uint8Array): Buffer | undefined {
  const bytes = Buffer.alloc(line.length)
  let digits = 0
  for (const character of line) {
    if (character === BLANK) continue
    const value = digitOf(character)
    if (value === undefined) {
      bytes.fill(0)
      return undefined
    }
    bytes[digits >> 1] = ((bytes[digits >> 1] ?? 0) << 4) | value
    digits++
  }
  const result = digits === 0 || digits % 2 !== 0 ? undefined : Buffer.from(bytes.subarray(0, digits / 2))
  bytes.fill(0)
  return result
}

const NOTHING = Buffer.alloc(0)
const LINE_BYTES_MAX = 512
const INTERRUPT = 0x03
const END_OF_TRANSMISSION = 0x04
const BACKSPACE = 0x08
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const BLANK = 0x20
const DELETE = 0x7f

function digitOf(character: number): number | undefined {
  if (character >= 0x30 && character <= 0x39) return character - 0x30
  const letter = (character & 0xdf) - 0x41
  return letter >= 0 && letter < 6 ? letter + 10 : undefined
}
