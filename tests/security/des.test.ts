import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encryptTriple, macTriple, scheduleKey } from '../../src/security/des.ts'

/** Key, plain text, cipher text of single DES: NIST SP 800-17 appendix A, tables A.1 (1, 64), A.2 (1, 56), A.3 (1), A.4 (1 to 19). */
const KNOWN_ANSWERS = [
  ['0101010101010101', '8000000000000000', '95F8A5E5DD31D900'],
  ['0101010101010101', '0000000000000001', '166B40B44ABA4BD6'],
  ['8001010101010101', '0000000000000000', '95A8D72813DAA94D'],
  ['0101010101010102', '0000000000000000', '869EFD7F9F265A09'],
  ['1046913489980131', '0000000000000000', '88D55E54F54C97B4'],
  ['7CA110454A1A6E57', '01A1D6D039776742', '690F5B0D9A26939B'],
  ['0131D9619DC1376E', '5CD54CA83DEF57DA', '7A389D10354BD271'],
  ['07A1133E4A0B2686', '0248D43806F67172', '868EBB51CAB4599A'],
  ['3849674C2602319E', '51454B582DDF440A', '7178876E01F19B2A'],
  ['04B915BA43FEB5B6', '42FD443059577FA2', 'AF37FB421F8C4095'],
  ['0113B970FD34F2CE', '059B5E0851CF143A', '86A560F10EC6D85B'],
  ['0170F175468FB5E6', '0756D8E0774761D2', '0CD3DA020021DC09'],
  ['43297FAD38E373FE', '762514B829BF486A', 'EA676B2CB7DB2B7A'],
  ['07A7137045DA2A16', '3BDD119049372802', 'DFD64A815CAF1A0F'],
  ['04689104C2FD3B2F', '26955F6835AF609A', '5C513C9C4886C088'],
  ['37D06BB516CB7546', '164D5E404F275232', '0A2AEEAE3FF4AB77'],
  ['1F08260D1AC2465E', '6B056E18759F5CCA', 'EF1BF03E5DFA575A'],
  ['584023641ABA6176', '004BD6EF09176062', '88BF0DB6D70DEE56'],
  ['025816164629B007', '480D39006EE762F2', 'A1F9915541020B56'],
  ['49793EBC79B3258F', '437540C8698F3CFA', '6FBF1CAFCFFD0556'],
  ['4FB05E1515AB73A7', '072D43A077075292', '2F22E49BAB7CA1AC'],
  ['49E95D6D4CA229BF', '02FE55778117F12A', '5A6B612CC26CCE4A'],
  ['018310DC409B26D6', '1D9D5C5018F728C2', '5F4C038ED12B2E41'],
  ['1C587F1C13924FEF', '305532286D6F295A', '63FAC0D034D9F793'],
] as const

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const blocks = (max: number) => fc.integer({ min: 1, max }).chain((count) => bytes(8 * count))

function opensslTriple(key: Uint8Array, data: Uint8Array): Buffer {
  return createCipheriv('des-ede', key, null).setAutoPadding(false).update(data)
}

describe('DES in tables', () => {
  test.each(KNOWN_ANSWERS)('known answer: key %s makes %s to %s', (key, plain, cipher) => {
    // Two equal keys make single DES of it.
    const schedule = scheduleKey(Buffer.from(key + key, 'hex'))
    expect(encryptTriple(schedule, Buffer.from(plain, 'hex')).toString('hex').toUpperCase()).toBe(cipher)
  })

  test('enciphers as OpenSSL does, whatever key and blocks', () => {
    fc.assert(
      fc.property(bytes(16), blocks(6), (key, data) => {
        expect(encryptTriple(scheduleKey(key), data).equals(opensslTriple(key, data))).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })

  test('makes the MAC of algorithm 3 as OpenSSL would: a chain of the first key, the last block with both', () => {
    fc.assert(
      fc.property(bytes(16), blocks(8), (key, data) => {
        const first = key.subarray(0, 8)
        let chained = Buffer.alloc(8)
        for (let at = 0; at < data.length; at += 8) {
          const input = chained.map((byte, i) => byte ^ data[at + i]!)
          chained = Buffer.from(opensslTriple(at + 8 === data.length ? key : Buffer.concat([first, first]), input))
        }
        expect(macTriple(scheduleKey(key), data).equals(chained)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('a schedule that is used again has nothing of the key before', () => {
    fc.assert(
      fc.property(bytes(16), bytes(16), bytes(8), (before, key, block) => {
        const schedule = scheduleKey(before)
        expect(scheduleKey(key, schedule)).toBe(schedule)
        expect(encryptTriple(schedule, block).equals(opensslTriple(key, block))).toBe(true)
      }),
    )
  })

  test('parity bits of a key mean nothing', () => {
    const key = Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex')
    const even = Buffer.from(key.map((byte) => byte ^ 1))
    expect(scheduleKey(even)).toEqual(scheduleKey(key))
  })
})
