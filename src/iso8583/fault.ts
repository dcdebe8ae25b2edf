/** What is wrong with a message, a field or a part of a field: one vocabulary for decode, encode and the typed subfields. */

export type FaultCode =
  | 'truncated'
  | 'trailing-bytes'
  | 'bad-mti'
  | 'bad-bitmap'
  | 'third-bitmap'
  | 'bad-length'
  | 'bad-character'
  | 'bad-padding'
  | 'bad-value'
  | 'bad-structure'
  | 'duplicate-tag'
  | 'indefinite-length'
  | 'over-long-length'
  | 'too-deep'
  | 'not-a-field'

export interface Fault {
  readonly code: FaultCode
  /** Where: `MTI`, `bitmap`, `DE 2`, `DE 55.9F02`; inside a subfield parser only the part, or empty for the whole. */
  readonly path: string
  /** Byte of the frame; inside a subfield parser the character or byte of the field's content. */
  readonly offset: number
  readonly expected: string
  /** What was there instead. Never card data. */
  readonly found: string
}

/** What a parser of a field's content returns. It never throws. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Fault }

/** The failure of a parser. */
export function fault(code: FaultCode, path: string, offset: number, expected: string, found: string): Fault {
  return { code, path, offset, expected, found }
}
