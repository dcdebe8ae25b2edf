import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PinFormat } from '../../src/security/hsm.ts'
import { KeyRefused } from '../../src/security/keys.ts'
import { buildPinBlock, decipherPinBlocks, encipherPinBlocks, openPinBlock, panField } from '../../src/security/pinBlock.ts'
import { digits, handleOf, hex } from './clearKeys.ts'
import vectors from './vectors/pin.json' with { type: 'json' }

const FORMATS: readonly PinFormat[] = [0, 3, 4]
const PAN = '5555555551234567'
const anyFormat = fc.constantFrom(...FORMATS)
const anyPin = fc.stringMatching(/^\d{4,12}$/)
const anyPan = fc.stringMatching(/^\d{8,19}$/)

function open(format: PinFormat, block: Uint8Array, pan: string): string | undefined {
  return openPinBlock(format, block, pan, Buffer.alloc(12))?.join('')
}

function clearBlock(format: PinFormat, changes: Readonly<Record<number, number>> = {}): Buffer {
  const block = buildPinBlock(format, digits('1234'), PAN)
  for (const [at, byte] of Object.entries(changes)) block[Number(at)] = byte
  return block
}

describe('public vectors', () => {
  test.each(vectors.format0)('format 0 of $pin is $clear_block', ({ pin, pan, clear_block }) => {
    expect(buildPinBlock(0, digits(pin), pan)).toEqual(hex(clear_block))
    expect(open(0, hex(clear_block), pan)).toBe(pin)
  })

  test.each(vectors.format0_reject)('format 0 is refused: $why', ({ clear_block, pan }) => {
    expect(open(0, hex(clear_block), pan)).toBeUndefined()
  })

  test.each(vectors.format3)('format 3 of $pin is $clear_block', ({ pin, pan, clear_block }) => {
    expect(open(3, hex(clear_block), pan)).toBe(pin)
    // The filler is free: the one of the vector, out of its block.
    const filler = Buffer.from(Array.from({ length: 14 }, (_, place) => fillerOf(hex(clear_block), pan, place) - 0xa))
    expect(buildPinBlock(3, digits(pin), pan, () => filler)).toEqual(hex(clear_block))
  })

  test.each(vectors.format4.filter(({ key }) => key !== undefined))('format 4 of $pin is $enciphered', (vector) => {
    const { key = '', pin = '', pan, random_tail = '', enciphered = '' } = vector
    const handle = handleOf('P0', 'A', key)
    const clear = buildPinBlock(4, digits(pin), pan, () => hex(random_tail))
    expect(encipherPinBlocks(4, handle, clear, [pan])).toEqual(hex(enciphered))
    expect(open(4, decipherPinBlocks(4, handle, hex(enciphered), [pan]), pan)).toBe(pin)
  })

  test.each(vectors.format4.filter(({ pan_field }) => pan_field !== undefined))(
    'PAN field of $pan',
    ({ pan, pan_field = '' }) => {
      expect(panField(pan)).toEqual(hex(pan_field))
    },
  )
})

describe('a PIN block', () => {
  test('gives back the PIN that it was built of', () => {
    fc.assert(
      fc.property(anyFormat, anyPin, anyPan, (format, pin, pan) => {
        expect(open(format, buildPinBlock(format, digits(pin), pan), pan)).toBe(pin)
      }),
    )
  })

  test('of formats 0 and 3 does not open for a PAN that differs beneath the filler, but for a filler that hides it', () => {
    const other = PAN.slice(0, 12) + '9' + PAN.slice(13)
    expect(open(0, clearBlock(0), PAN)).toBe('1234')
    expect(open(0, clearBlock(0), other)).toBeUndefined()
    // 4 becomes 9: a filler of D becomes 0.
    const filler = Buffer.alloc(14, 3)
    expect(
      open(
        3,
        buildPinBlock(3, digits('1234'), PAN, () => filler),
        other,
      ),
    ).toBeUndefined()
  })

  test('of another PAN never gives the same PIN where the PANs differ beneath its digits', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<PinFormat>(0, 3),
        fc.stringMatching(/^\d{12}$/),
        fc.stringMatching(/^\d{10}$/),
        fc.stringMatching(/^\d{10}$/),
        (format, pin, one, other) => {
          fc.pre(one !== other)
          // Beneath the third to the twelfth digit of the PIN lie the first ten of the twelve digits before the check digit.
          const block = buildPinBlock(format, digits(pin), `400${one}000`)
          expect(open(format, block, `400${other}000`)).not.toBe(pin)
        },
      ),
    )
  })

  test('of format 4 that is moved to another PAN deciphers to nothing but by chance', () => {
    const key = handleOf('P0', 'A', '00112233445566778899AABBCCDDEEFF')
    let opened = 0
    const tail = Buffer.alloc(8, 0x5c)
    for (let account = 0; account < 2000; account++) {
      const block = encipherPinBlocks(
        4,
        key,
        buildPinBlock(4, digits('1234'), PAN, () => tail),
        [PAN],
      )
      const other = `4${String(account).padStart(15, '0')}`
      if (open(4, decipherPinBlocks(4, key, block, [other]), other) !== undefined) opened++
    }
    // Control, length and ten fillers of a 4-digit PIN: far less than one in a million.
    expect(opened).toBe(0)
  })

  test('enciphers in a batch as it does alone', () => {
    for (const format of FORMATS) {
      const key = format === 4 ? handleOf('P0', 'A', '00'.repeat(24)) : handleOf('P0', 'T', '0123456789ABCDEFFEDCBA9876543210')
      const pans = [PAN, '400000000012', '6219861012345678901']
      const clear = pans.map((pan) => buildPinBlock(format, digits('98765'), pan))
      const alone = clear.map((block, index) => encipherPinBlocks(format, key, block, [pans[index] ?? '']))
      const together = encipherPinBlocks(format, key, Buffer.concat(clear), pans)
      expect(together).toEqual(Buffer.concat(alone))
      expect(decipherPinBlocks(format, key, together, pans)).toEqual(Buffer.concat(clear))
    }
  })

  test('fills format 3 with A to F and every one of them', () => {
    const seen = new Set<number>()
    for (let random = 0; random < 256; random++) {
      const block = buildPinBlock(3, digits('1234'), PAN, () => Buffer.alloc(14, random))
      seen.add(fillerOf(block, PAN, 13))
    }
    expect([...seen].sort()).toEqual([0xa, 0xb, 0xc, 0xd, 0xe, 0xf])
  })
})

describe('what is no PIN block', () => {
  test.each(FORMATS)('of format %i: another control nibble, length, digit or filler', (format) => {
    const whole = clearBlock(format)
    expect(open(format, whole, PAN)).toBe('1234')
    const [first = 0, , , fourth = 0] = whole
    for (const other of [0, 1, 2, 3, 4, 5, 15].filter((control) => control !== format)) {
      expect(open(format, clearBlock(format, { 0: (other << 4) | (first & 0xf) }), PAN)).toBeUndefined()
    }
    for (const length of [0, 3, 5, 12, 13, 14, 15]) {
      expect(open(format, clearBlock(format, { 0: (format << 4) | length }), PAN)).toBeUndefined()
    }
    expect(open(format, clearBlock(format, { 1: 0xa2 }), PAN)).toBeUndefined()
    // The fifth place becomes a digit.
    const shown = format === 4 ? 0 : Number(PAN[5])
    expect(open(format, clearBlock(format, { 3: (shown << 4) | (fourth & 0xf) }), PAN)).toBeUndefined()
  })

  test.each(FORMATS)('of format %i: shorter, longer, or of a PAN that is none', (format) => {
    const block = clearBlock(format)
    for (let bytes = 0; bytes < block.length; bytes++) expect(open(format, block.subarray(0, bytes), PAN)).toBeUndefined()
    expect(open(format, Buffer.concat([block, Buffer.alloc(8)]), PAN)).toBeUndefined()
    for (const pan of ['', '1234567', '12345678901234567890', '555555555123456A', '５555555551234567']) {
      expect(open(format, block, pan)).toBeUndefined()
    }
  })

  test('random bytes throw nothing', () => {
    fc.assert(
      fc.property(anyFormat, fc.uint8Array({ maxLength: 20 }), fc.string(), (format, block, pan) => {
        expect(open(format, block, pan)).toBeUndefined()
      }),
    )
  })

  test('is not built of a PIN or PAN that is none, and the error says nothing of either', () => {
    for (const pin of ['123', '1234567890123'])
      expect(() => buildPinBlock(0, digits(pin), PAN)).toThrow(/^not a PIN of 4 to 12 digits$/)
    expect(() => buildPinBlock(0, Buffer.from([1, 2, 3, 10]), PAN)).toThrow(/^not a PIN/)
    expect(() => buildPinBlock(0, digits('1234'), '12345A78')).toThrow(/^not a PAN of 8 to 19 digits$/)
  })

  test('is not enciphered with the algorithm of another format', () => {
    const tdes = handleOf('P0', 'T', '00'.repeat(16))
    const aes = handleOf('P0', 'A', '00'.repeat(16))
    expect(() => encipherPinBlocks(4, tdes, Buffer.alloc(16), [PAN])).toThrow(KeyRefused)
    expect(() => encipherPinBlocks(0, aes, Buffer.alloc(16), [PAN])).toThrow(KeyRefused)
    expect(() => decipherPinBlocks(4, tdes, Buffer.alloc(16), [PAN])).toThrow(KeyRefused)
    expect(() => decipherPinBlocks(3, aes, Buffer.alloc(16), [PAN])).toThrow(KeyRefused)
  })
})

/** The nibble at a digit place, with the PAN taken out again. */
function fillerOf(block: Buffer, pan: string, place: number): number {
  const nibble = Number.parseInt(block.toString('hex')[2 + place] ?? '0', 16)
  return place < 2 ? nibble : nibble ^ Number(pan.slice(-13, -1)[place - 2])
}
