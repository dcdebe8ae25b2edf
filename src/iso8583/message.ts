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
  /** Data elements present, ascending, without bitmaps. */
  fields(): number[]
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
