/** The readable part of a key block: what the key is and what may be done with it (ANSI X9.143 clause 6 and its tables). */

export interface KeyBlockHeader {
  readonly version: KeyBlockVersion
  /** Table 2, two characters: `P0`. */
  readonly usage: string
  /** Table 3: T, A, H and others. */
  readonly algorithm: string
  /** Table 4: B both ways, C both ways of a MAC, D E G V one of them, X derives keys, N no restriction, S T Y. */
  readonly mode: string
  /** Two characters; 00 where versions are not counted. */
  readonly keyVersion: string
  /** E in a block under a trusted key, N not at all, S also otherwise. */
  readonly exportability: 'E' | 'N' | 'S'
  readonly optionalBlocks: readonly OptionalBlock[]
}

/** A TDES variants (2005), B TDES derivation, C TDES variants (2010), D AES derivation. */
export type KeyBlockVersion = 'A' | 'B' | 'C' | 'D'

/** Two characters and printable text: KS key serial number, KC and KP check values, PB padding and others. Kept as they are. */
export interface OptionalBlock {
  readonly id: string
  readonly data: string
}

/**
 * `malformed`: no key block. `unsupported`: one that is not opened here. `wrong-protection-key`: for another version or another purpose.
 * `not-authentic`: made under another key, or changed on the way. The message has words, never content of the block.
 */
export type KeyBlockErrorCode = 'malformed' | 'unsupported' | 'wrong-protection-key' | 'not-authentic'

export class KeyBlockError extends Error {
  override readonly name = 'KeyBlockError'
  readonly code: KeyBlockErrorCode

  constructor(code: KeyBlockErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Characters in front of the optional blocks. */
export const HEADER_CHARACTERS = 16

/** @returns the header, and where the payload begins. @throws KeyBlockError */
export function parseHeader(block: string): { readonly header: KeyBlockHeader; readonly payloadAt: number } {
  const match = HEADER.exec(block)
  const version = match?.groups?.['version']
  if (match?.groups === undefined || version === undefined) throw malformed('16 characters of a header are missing')
  const { length = '', usage = '', algorithm = '', mode = '', keyVersion = '', exportability = '', blocks = '' } = match.groups
  if (!isVersion(version)) throw new KeyBlockError('unsupported', 'the block is of another version than A, B, C or D')
  if (Number(length) !== block.length) throw malformed(`it says ${length} characters and has ${String(block.length)}`)
  if (exportability !== 'E' && exportability !== 'N' && exportability !== 'S') throw malformed('exportability is E, N or S')
  const optionalBlocks: OptionalBlock[] = []
  let at = HEADER_CHARACTERS
  for (let number = 0; number < Number(blocks); number++) {
    const { optionalBlock, next } = parseOptionalBlock(block, at)
    optionalBlocks.push(optionalBlock)
    at = next
  }
  if ((at - HEADER_CHARACTERS) % CIPHER_BLOCK[version] !== 0) throw malformed('optional blocks do not fill whole cipher blocks')
  return { header: { version, usage, algorithm, mode, keyVersion, exportability, optionalBlocks }, payloadAt: at }
}

/**
 * @param rest characters that follow: payload and MAC
 * @throws RangeError for values that a header cannot carry
 */
export function formatHeader(header: KeyBlockHeader, blockBytes: number, rest: number): string {
  const { version, usage, algorithm, mode, keyVersion, exportability } = header
  const optional = header.optionalBlocks.map(formatOptionalBlock)
  const over = optional.join('').length % blockBytes
  if (over !== 0) {
    const missing = blockBytes - over
    const characters = missing < OPTIONAL_HEADER ? missing + blockBytes : missing
    optional.push(formatOptionalBlock({ id: 'PB', data: '0'.repeat(characters - OPTIONAL_HEADER) }))
  }
  const length = String(HEADER_CHARACTERS + optional.join('').length + rest).padStart(4, '0')
  const blocks = String(optional.length).padStart(2, '0')
  const text = `${version}${length}${usage}${algorithm}${mode}${keyVersion}${exportability}${blocks}00`
  if (text.length !== HEADER_CHARACTERS || !HEADER.test(text)) throw new RangeError('not the values of a key block header')
  return text + optional.join('')
}

/** Byte 14 is the key context (X9.143:2021), byte 15 is reserved. */
const HEADER =
  /^(?<version>[A-Z0-9])(?<length>\d{4})(?<usage>[A-Z0-9]{2})(?<algorithm>[A-Z0-9])(?<mode>[A-Z0-9])(?<keyVersion>[A-Za-z0-9]{2})(?<exportability>[A-Z])(?<blocks>\d{2})[012]0/
const CIPHER_BLOCK: Readonly<Record<KeyBlockVersion, number>> = { A: 8, B: 8, C: 8, D: 16 }
/** Identifier and length. */
const OPTIONAL_HEADER = 4
const SHORT_MAX = 0xff

function isVersion(text: string): text is KeyBlockVersion {
  return text in CIPHER_BLOCK
}

/** Identifier, its whole length in two hexadecimal digits, data. A length of 00 is followed by the number of bytes of a longer one, and that. */
function parseOptionalBlock(block: string, at: number): { readonly optionalBlock: OptionalBlock; readonly next: number } {
  const id = block.slice(at, at + 2)
  if (!/^[A-Z0-9]{2}$/.test(id)) throw malformed('an optional block has no identifier')
  let dataAt = at + OPTIONAL_HEADER
  let length = hexNumber(block.slice(at + 2, dataAt))
  if (length === 0) {
    const digits = 2 * hexNumber(block.slice(dataAt, dataAt + 2))
    length = hexNumber(block.slice(dataAt + 2, dataAt + 2 + digits))
    dataAt += 2 + digits
  }
  const next = at + length
  const data = block.slice(dataAt, next)
  if (next < dataAt || next > block.length || !/^[ -~]*$/.test(data)) throw malformed(`optional block ${id} is not whole`)
  return { optionalBlock: { id, data }, next }
}

function hexNumber(text: string): number {
  if (!/^([0-9A-F]{2}){1,2}$/.test(text)) throw malformed('the length of an optional block is hexadecimal digits')
  return Number.parseInt(text, 16)
}

function formatOptionalBlock({ id, data }: OptionalBlock): string {
  if (!/^[A-Z0-9]{2}$/.test(id) || !/^[ -~]*$/.test(data)) throw new RangeError('not an optional block')
  const length = OPTIONAL_HEADER + data.length
  if (length <= SHORT_MAX) return id + hexDigits(length, 2) + data
  return `${id}0002${hexDigits(length + LONG_LENGTH, 4)}${data}`
}

/** Characters that a long length has more than a short one: how many bytes it has, and those. */
const LONG_LENGTH = 6

function hexDigits(number: number, digits: number): string {
  return number.toString(16).toUpperCase().padStart(digits, '0')
}

function malformed(message: string): KeyBlockError {
  return new KeyBlockError('malformed', message)
}
