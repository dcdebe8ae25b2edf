/** A decoded message: where its fields are in the frame, and their text when somebody reads it. */
import { contentText, wireBytes } from './coding.ts'
import type { FieldSpec, MessageSpec } from './messageSpec.ts'

export interface Message {
  /** The spec it was decoded with, bitmap form included: an answer encoded with it is one the sender can read. */
  readonly spec: MessageSpec
  readonly mti: string
  has(de: number): boolean
  /**
   * Digits for n, characters as received for an and ans (a fixed field keeps its padding), `=` for the separator of a
   * BCD track, upper-case hexadecimal for binary fields. Made anew at each call.
   */
  text(de: number): string | undefined
  /** The bytes of a binary field, a view of the frame where the dialect allows; undefined for other fields. */
  bytes(de: number): Buffer | undefined
  /** For an answer that carries the field unchanged: its content where encode would write the same bytes again, else its text. */
  carried(de: number): FieldContent | string | undefined
  /** Data elements present, ascending, without bitmaps. */
  fields(): number[]
}

/** Content of a field as it lies in its frame, checked by decode. */
export class FieldContent {
  readonly frame: Buffer
  readonly start: number
  /** Digits or characters. */
  readonly length: number

  constructor(frame: Buffer, start: number, length: number) {
    this.frame = frame
    this.start = start
    this.length = length
  }
}

/** Where a field lies in its frame, in bytes. */
export interface FieldPlace {
  /** First byte, length prefix included. */
  readonly offset: number
  readonly contentOffset: number
  readonly end: number
}

/** Holds the frame it was decoded from: whoever received the frame must not write into it again. */
export class DecodedMessage implements Message {
  readonly spec: MessageSpec
  readonly mti: string
  readonly #frame: Buffer
  readonly #numbers: number[] = []
  readonly #starts: number[] = []
  readonly #lengths: number[] = []

  constructor(spec: MessageSpec, mti: string, frame: Buffer) {
    this.spec = spec
    this.mti = mti
    this.#frame = frame
  }

  /** Only decode calls this: the next field in ascending order, its content checked. */
  add(de: number, start: number, length: number): void {
    this.#numbers.push(de)
    this.#starts.push(start)
    this.#lengths.push(length)
  }

  has(de: number): boolean {
    return this.#numbers.includes(de)
  }

  text(de: number): string | undefined {
    const index = this.#numbers.indexOf(de)
    const field = this.spec.fields[de]
    if (index < 0 || field === undefined) return undefined
    return contentText(field, this.#frame, this.#starts[index] ?? 0, this.#lengths[index] ?? 0)
  }

  bytes(de: number): Buffer | undefined {
    const index = this.#numbers.indexOf(de)
    const field = this.spec.fields[de]
    if (index < 0 || field?.type !== 'b') return undefined
    return contentBytes(field, this.#frame, this.#starts[index] ?? 0, this.#lengths[index] ?? 0)
  }

  carried(de: number): FieldContent | string | undefined {
    const index = this.#numbers.indexOf(de)
    const field = this.spec.fields[de]
    if (index < 0 || field === undefined) return undefined
    const start = this.#starts[index] ?? 0
    const length = this.#lengths[index] ?? 0
    // The other codings have more than one form of the same content, and encode writes only one.
    return field.coding === 'ascii'
      ? new FieldContent(this.#frame, start, length)
      : contentText(field, this.#frame, start, length)
  }

  fields(): number[] {
    return this.#numbers.slice()
  }

  place(de: number): FieldPlace | undefined {
    const index = this.#numbers.indexOf(de)
    const field = this.spec.fields[de]
    const contentOffset = this.#starts[index]
    if (field === undefined || contentOffset === undefined) return undefined
    return {
      offset: contentOffset - field.lengthBytes,
      contentOffset,
      end: contentOffset + wireBytes(field, this.#lengths[index] ?? 0),
    }
  }
}

/** The bytes of a binary field's content: a view, or a new buffer where the dialect writes them as hexadecimal text. */
export function contentBytes(field: FieldSpec, frame: Buffer, start: number, length: number): Buffer {
  return field.coding === 'hex'
    ? Buffer.from(frame.toString('latin1', start, start + length * 2), 'hex')
    : frame.subarray(start, start + length)
}
