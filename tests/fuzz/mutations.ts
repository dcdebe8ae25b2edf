/** Changes to an input: those that find bugs in parsers (M. Zalewski, "American Fuzzy Lop", technical whitepaper, section 6). */
import type { Random } from '../../benchmarks/support/random.ts'

export interface Mutator {
  readonly random: Random
  /** Inputs to splice with. */
  readonly corpus: readonly Uint8Array[]
  readonly tokens: readonly Uint8Array[]
  readonly bytesMax: number
}

/** A changed copy of `input`, of one to a dozen changes. */
export function mutate(input: Uint8Array, mutator: Mutator): Buffer {
  const { random, bytesMax } = mutator
  let bytes: Buffer = Buffer.from(input)
  const changes = 1 << random.below(4)
  for (let i = 0; i < changes; i++) bytes = MUTATIONS[random.below(MUTATIONS.length)]!(bytes, mutator).subarray(0, bytesMax)
  return bytes
}

type Mutation = (bytes: Buffer, mutator: Mutator) => Buffer

const INTERESTING_BYTES = [
  0x00, 0x01, 0x0f, 0x10, 0x1f, 0x20, 0x2f, 0x30, 0x39, 0x3a, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x99, 0xf0, 0xff,
]
const INTERESTING_WORDS = [0x0000, 0x0001, 0x007f, 0x0080, 0x00ff, 0x0100, 0x0999, 0x0fff, 0x1000, 0x7fff, 0x8000, 0xffff]
const INTERESTING_NUMBERS = [
  '0',
  '00',
  '000',
  '1',
  '01',
  '001',
  '9',
  '99',
  '999',
  '-1',
  '+1',
  '1e9',
  '9007199254740993',
  '999999999999',
]
const RUN_MAX = 24

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, { random }) {
    if (bytes.length === 0) return bytes
    const bit = random.below(bytes.length * 8)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    return bytes
  },
  function anyByte(bytes, { random }) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256)
    return bytes
  },
  function stepByte(bytes, { random }) {
    if (bytes.length > 0) bytes[random.below(bytes.length)]! += random.below(2) === 0 ? 1 : 255
    return bytes
  },
  function interestingByte(bytes, { random }) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = pick(INTERESTING_BYTES, random)
    return bytes
  },
  function interestingWord(bytes, { random }) {
    if (bytes.length > 1) bytes.writeUInt16BE(pick(INTERESTING_WORDS, random), random.below(bytes.length - 1))
    return bytes
  },
  function interestingNumber(bytes, { random }) {
    const number = Buffer.from(pick(INTERESTING_NUMBERS, random))
    const at = random.below(bytes.length + 1)
    return random.below(2) === 0 ? insert(bytes, at, number) : overwrite(bytes, at, number)
  },
  function anotherDigit(bytes, { random }) {
    // Lengths and codes are digits mostly: another one keeps the rest readable.
    const digits = [...bytes.keys()].filter((index) => bytes[index]! >= 0x30 && bytes[index]! <= 0x39)
    if (digits.length > 0) bytes[pick(digits, random)] = 0x30 + random.below(10)
    return bytes
  },
  function remove(bytes, { random }) {
    const at = random.below(bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(RUN_MAX))])
  },
  function removeByte(bytes, { random }) {
    const at = random.below(bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
  },
  function insertBytes(bytes, { random }) {
    const inserted = Buffer.alloc(1 + random.below(RUN_MAX), random.below(256))
    return insert(bytes, random.below(bytes.length + 1), inserted)
  },
  function insertByte(bytes, { random }) {
    return insert(bytes, random.below(bytes.length + 1), Buffer.of(random.below(256)))
  },
  function duplicate(bytes, { random }) {
    const from = random.below(bytes.length + 1)
    return insert(bytes, random.below(bytes.length + 1), bytes.subarray(from, from + 1 + random.below(RUN_MAX)))
  },
  function copyOver(bytes, { random }) {
    const from = random.below(bytes.length + 1)
    return overwrite(bytes, random.below(bytes.length + 1), Buffer.from(bytes.subarray(from, from + 1 + random.below(RUN_MAX))))
  },
  function truncate(bytes, { random }) {
    return bytes.subarray(0, random.below(bytes.length + 1))
  },
  function insertToken(bytes, { random, tokens }) {
    return tokens.length === 0 ? bytes : insert(bytes, random.below(bytes.length + 1), pick(tokens, random))
  },
  function writeToken(bytes, { random, tokens }) {
    return tokens.length === 0 ? bytes : overwrite(bytes, random.below(bytes.length + 1), pick(tokens, random))
  },
  function splice(bytes, { random, corpus }) {
    if (corpus.length === 0) return bytes
    const other = pick(corpus, random)
    return Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1))])
  },
  function transplant(bytes, { random, corpus }) {
    if (corpus.length === 0) return bytes
    const other = pick(corpus, random)
    const from = random.below(other.length + 1)
    return overwrite(bytes, random.below(bytes.length + 1), other.subarray(from, from + 1 + random.below(RUN_MAX)))
  },
]

function insert(bytes: Buffer, at: number, inserted: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)])
}

function overwrite(bytes: Buffer, at: number, written: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), written, bytes.subarray(at + written.length)])
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random.below(list.length)]!
}
