import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findTlv, parseTlv } from '../../src/iso8583/berTlv.ts'
import { readChipData, writeChipAnswer } from '../../src/security/chipData.ts'
import { responseCryptograms, scriptCommands, verifyCryptograms } from '../../src/security/chipOperations.ts'
import type { ScriptRequest } from '../../src/security/hsm.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { virtualChip, type ChipTransaction, type Personalisation, type VirtualChip } from '../../src/security/virtualChip.ts'

const KEYS = softwareKeyStore([
  {
    name: 'imk-ac',
    usage: 'E0',
    algorithm: 'T',
    exportable: false,
    value: Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex'),
  },
  {
    name: 'imk-smi',
    usage: 'E2',
    algorithm: 'T',
    exportable: false,
    value: Buffer.from('FEDCBA98765432100123456789ABCDEF', 'hex'),
  },
])
const CARDS = [
  { scheme: 'visa', cvn: 10 },
  { scheme: 'visa', cvn: 18 },
  { scheme: 'visa', cvn: 22 },
  { scheme: 'mchip', cvn: 16 },
  { scheme: 'mchip', cvn: 17 },
] as const
const TRANSACTION: ChipTransaction = {
  amount: 12_345,
  country: '818',
  currency: '818',
  date: '261126',
  type: '00',
  unpredictableNumber: Buffer.from('52BF4585', 'hex'),
}
const PAN = '9818001234567890'

function personalised(card: (typeof CARDS)[number], more: Partial<Personalisation> = {}): VirtualChip {
  return virtualChip({
    ...card,
    applicationKey: KEYS.find('imk-ac', 'E0'),
    integrityKey: KEYS.find('imk-smi', 'E2'),
    pan: PAN,
    psn: '01',
    expiry: '3012',
    serviceCode: '201',
    icvv: '789',
    ...more,
  })
}

function received(bytes: Buffer) {
  const result = readChipData(bytes)
  if (!result.ok) expect.fail(JSON.stringify(result.error))
  return result.value
}

function valueOf(bytes: Buffer, tag: string): string | undefined {
  const parsed = parseTlv(bytes)
  return parsed.ok ? findTlv(parsed.value, tag)?.value.toString('hex') : undefined
}

/** The issuer's side: DE 55 of the answer, or undefined where the cryptogram is not valid. */
function answered(card: (typeof CARDS)[number], request: Buffer, command?: ScriptRequest['command']): Buffer | undefined {
  const { chip, card: data, psn = '' } = received(request)
  const pan = data?.reveal().pan ?? ''
  const [verdict] = verifyCryptograms(KEYS, [{ scheme: card.scheme, key: 'imk-ac', pan, psn, chip }])
  if (verdict?.kind !== 'valid') return undefined
  const [issuerAuthenticationData] = responseCryptograms([{ session: verdict.session, responseCode: '00', approved: true }])
  const script = { scheme: card.scheme, key: 'imk-smi', pan, psn, atc: chip.atc, cryptogram: chip.cryptogram }
  const outcomes =
    command === undefined ? [] : scriptCommands(KEYS, [{ ...script, command, issuerApplicationData: chip.issuerApplicationData }])
  const commands = outcomes.map((outcome) => (outcome.kind === 'made' ? outcome.apdu : Buffer.alloc(0)))
  const scripts = commands.length === 0 ? [] : [{ when: 'after' as const, identifier: Buffer.alloc(4), commands }]
  return writeChipAnswer({ issuerAuthenticationData: issuerAuthenticationData!, scripts })
}

describe.each(CARDS)('a virtual chip, $scheme CVN $cvn', (card) => {
  test('says of the transaction and of itself what it was told', () => {
    const chip = personalised(card, { atc: 0x01ff })
    const request = chip.generate({
      ...TRANSACTION,
      otherAmount: 250,
      terminalVerificationResults: Buffer.from('0000008000', 'hex'),
      cardholderVerification: Buffer.from('420300', 'hex'),
    })
    const field = received(request)
    expect(field).toMatchObject({ amount: 12_345, currency: '818', psn: '01' })
    expect(field.card?.reveal()).toEqual({ pan: PAN, track2: `${PAN}D301220100000789` })
    const said = ['9F03', '9F1A', '95', '9A', '9C', '9F34'].map((tag) => valueOf(request, tag))
    expect(said).toEqual(['000000000250', '0818', '0000008000', '261126', '00', '420300'])
    expect(field.chip.atc.toString('hex')).toBe('0200')
    expect(chip.atc()).toBe(0x0200)
  })

  test('the issuer takes its cryptograms, whatever the transaction, and it takes the answers', () => {
    const chip = personalised(card)
    const number = (max: number) => fc.integer({ min: 0, max })
    const un = fc.uint8Array({ minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(number(999_999_999_999), number(999_999_999_999), un, (amount, otherAmount, unpredictableNumber) => {
        const answer = answered(card, chip.generate({ ...TRANSACTION, amount, otherAmount, unpredictableNumber }))
        expect(answer && chip.acceptResponse(answer)).toBe(true)
      }),
    )
  })

  test('works with PANs of 19 digits', () => {
    const chip = personalised(card, { pan: '9818001234567890123' })
    const answer = answered(card, chip.generate(TRANSACTION), 'PIN_UNBLOCK')
    expect(answer && chip.acceptResponse(answer)).toBe(true)
  })

  test.each(['PIN_UNBLOCK', 'APPLICATION_BLOCK', 'APPLICATION_UNBLOCK', 'CARD_BLOCK'] as const)(
    'takes %s from its issuer',
    (command) => {
      const chip = personalised(card)
      const answer = answered(card, chip.generate(TRANSACTION), command)
      expect(answer && chip.acceptResponse(answer)).toBe(true)
    },
  )

  test('takes no answer that was changed in any bit of its data, and no script without the key', () => {
    const chip = personalised(card)
    const answer = answered(card, chip.generate(TRANSACTION), 'CARD_BLOCK')!
    for (let bit = 0; bit < answer.length * 8; bit++) {
      const changed = Buffer.from(answer)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      // The identifier of the script is for the issuer, nothing authenticates it.
      const at = answer.indexOf(Buffer.from('9F1804', 'hex'))
      const isIdentifier = bit >> 3 >= at && bit >> 3 < at + 7
      if (!isIdentifier && !isScriptTag(answer, bit >> 3)) expect(chip.acceptResponse(changed), `bit ${String(bit)}`).toBe(false)
    }
    const other = virtualChip({
      ...card,
      applicationKey: KEYS.find('imk-ac', 'E0'),
      pan: PAN,
      psn: '01',
      expiry: '3012',
      serviceCode: '201',
      icvv: '789',
    })
    const script = answered(card, other.generate(TRANSACTION), 'CARD_BLOCK')!
    expect(other.acceptResponse(script)).toBe(false)
  })

  test('takes no answer to another cryptogram, of another card, or none', () => {
    const chip = personalised(card)
    expect(chip.acceptResponse(Buffer.from('910A28993816AFAE4AEB3030', 'hex'))).toBe(false)
    const first = answered(card, chip.generate(TRANSACTION))!
    const second = answered(card, chip.generate(TRANSACTION))!
    expect(chip.acceptResponse(first)).toBe(false)
    expect(chip.acceptResponse(second)).toBe(true)
    const other = personalised(card, { pan: '9818001234567891' })
    expect(chip.acceptResponse(answered(card, other.generate(TRANSACTION))!)).toBe(false)
    expect(chip.acceptResponse(Buffer.alloc(0))).toBe(false)
    expect(chip.acceptResponse(second.subarray(0, -1))).toBe(false)
  })
})

/** Tags and lengths of the templates: another tag makes another object of them, which a card does not look at. */
function isScriptTag(answer: Buffer, at: number): boolean {
  const template = answer.indexOf(Buffer.from('9F1804', 'hex')) - 2
  const command = answer.indexOf(Buffer.from('860D', 'hex'))
  return at === template || at === command
}

describe('personalisation', () => {
  test('a CVN that the scheme does not have is a mistake', () => {
    expect(() => personalised({ scheme: 'visa', cvn: 17 } as never)).toThrow(RangeError)
    expect(() => personalised({ scheme: 'mchip', cvn: 10 } as never)).toThrow(RangeError)
  })

  test('each cryptogram has the next counter', () => {
    const chip = personalised(CARDS[1])
    const seen = [1, 2, 3].map(() => received(chip.generate(TRANSACTION)).chip)
    expect(seen.map(({ atc }) => atc.readUInt16BE())).toEqual([1, 2, 3])
    expect(new Set(seen.map(({ cryptogram }) => cryptogram.toString('hex'))).size).toBe(3)
  })
})
