import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { responseCryptograms, scriptCommands, verifyCryptograms } from '../../src/security/chipOperations.ts'
import type { ChipSession, CryptogramCheck, CryptogramVerdict } from '../../src/security/hsm.ts'
import type { KeyStore, KeyUsage } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import vectors from './vectors/chip.json' with { type: 'json' }

const IMK = Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex')
const IMK_SMI = Buffer.from('FEDCBA98765432100123456789ABCDEF', 'hex')
const [VISA_10, VISA_18, MCHIP_17] = [0, 1, 2].map((index): Vector => vectors.cryptograms[index]!) as [Vector, Vector, Vector]
const TRANSACTION_DATA_BYTES = 33

interface Vector {
  readonly name: string
  readonly scheme: string
  readonly pan: string
  readonly psn: string
  readonly macInput: string
  readonly arqc: string
  readonly tag91?: string
}

function store(): KeyStore {
  const key = (name: string, usage: KeyUsage, value: Buffer) =>
    ({ name, usage, algorithm: 'T', exportable: false, value }) as const
  return softwareKeyStore([key('imk-ac', 'E0', IMK), key('imk-other', 'E0', IMK_SMI), key('imk-smi', 'E2', IMK_SMI)])
}

/** The vector as a message would bring it: its IAD ends what the cryptogram is made of. */
function checkOf(vector: Vector, iad: string): CryptogramCheck {
  const data = Buffer.from(vector.macInput, 'hex').subarray(0, TRANSACTION_DATA_BYTES)
  return {
    scheme: vector.scheme as 'visa' | 'mchip',
    key: 'imk-ac',
    pan: vector.pan,
    psn: vector.psn,
    chip: {
      cryptogram: Buffer.from(vector.arqc, 'hex'),
      cryptogramInformation: 0x80,
      issuerApplicationData: Buffer.from(iad, 'hex'),
      atc: data.subarray(31, 33),
      unpredictableNumber: data.subarray(25, 29),
      transactionData: data,
    },
  }
}

const CHECK_10 = checkOf(VISA_10, '06010A03A06010')
const CHECK_18 = checkOf(VISA_18, '06011203A0B800')
const CHECK_17 = checkOf(MCHIP_17, '0111A000032200001234' + '00000000000322FF')

function kinds(verdicts: readonly CryptogramVerdict[]) {
  return verdicts.map(({ kind }) => kind)
}

function sessionOf(check: CryptogramCheck): ChipSession {
  const [verdict] = verifyCryptograms(store(), [check])
  if (verdict?.kind !== 'valid') expect.fail('not valid')
  return verdict.session
}

function answerOf(check: CryptogramCheck, responseCode: string, approved: boolean): string {
  return responseCryptograms([{ session: sessionOf(check), responseCode, approved }])[0]!
    .toString('hex')
    .toUpperCase()
}

describe('verification of cryptograms', () => {
  test.each([CHECK_10, CHECK_18, CHECK_17])('$scheme: the cryptogram of a published vector is valid', (check) => {
    expect(kinds(verifyCryptograms(store(), [check]))).toEqual(['valid'])
  })

  test('verdicts are in the order of the batch, whatever the keys and outcomes', () => {
    const wrong = { ...CHECK_18, chip: { ...CHECK_18.chip, cryptogram: Buffer.alloc(8) } }
    const batch = [
      { ...CHECK_10, key: 'imk-other' },
      CHECK_10,
      { ...CHECK_10, key: 'no-such-key' },
      wrong,
      checkOf(VISA_18, '06011103A0B800'),
      CHECK_17,
      { ...CHECK_17, key: 'imk-smi' },
      CHECK_18,
    ]
    expect(kinds(verifyCryptograms(store(), batch))).toEqual([
      'invalid',
      'valid',
      'refused',
      'invalid',
      'unsupported',
      'valid',
      'refused',
      'valid',
    ])
    expect(verifyCryptograms(store(), [])).toEqual([])
  })

  test.each([CHECK_10, CHECK_18, CHECK_17])('$scheme: no bit of what was signed may change', (check) => {
    const keys = store()
    const batch: CryptogramCheck[] = []
    for (const part of ['cryptogram', 'transactionData'] as const) {
      for (let bit = 0; bit < check.chip[part].length * 8; bit++) {
        const changed = Buffer.from(check.chip[part])
        changed[bit >> 3]! ^= 1 << (bit & 7)
        batch.push({ ...check, chip: { ...check.chip, [part]: changed } })
      }
    }
    const verdicts = verifyCryptograms(keys, batch)
    expect(verdicts).toHaveLength((8 + TRANSACTION_DATA_BYTES) * 8)
    expect(new Set(kinds(verdicts))).toEqual(new Set(['invalid']))
  })

  test('card, sequence number, results and counters are part of it', () => {
    const changed = [
      { ...CHECK_17, pan: '1234567890123457' },
      { ...CHECK_17, psn: '01' },
      checkOf(MCHIP_17, '0111A000032200011234' + '00000000000322FF'),
      checkOf(MCHIP_17, '0111A000032200001234' + '00000000000322FE'),
      { ...CHECK_17, chip: { ...CHECK_17.chip, atc: Buffer.from('001D', 'hex') } },
      { ...CHECK_17, chip: { ...CHECK_17.chip, unpredictableNumber: Buffer.alloc(4) } },
      checkOf(VISA_10, '06010A03A06011'),
      checkOf(VISA_18, '06021203A0B800'),
    ]
    expect(new Set(kinds(verifyCryptograms(store(), changed)))).toEqual(new Set(['invalid']))
    // The data authentication code is not.
    expect(kinds(verifyCryptograms(store(), [checkOf(MCHIP_17, '0111A000032200009999' + '00000000000322FF')]))).toEqual(['valid'])
  })

  test('what has not the form of card data is invalid and harms no other item', () => {
    const chip = CHECK_18.chip
    const malformed: CryptogramCheck[] = [
      { ...CHECK_18, pan: '12345678901' },
      { ...CHECK_18, pan: '123456789012345x' },
      { ...CHECK_18, psn: '1' },
      { ...CHECK_18, chip: { ...chip, cryptogram: chip.cryptogram.subarray(0, 7) } },
      { ...CHECK_18, chip: { ...chip, atc: Buffer.alloc(3) } },
      { ...CHECK_18, chip: { ...chip, unpredictableNumber: Buffer.alloc(8) } },
      { ...CHECK_18, chip: { ...chip, transactionData: chip.transactionData.subarray(1) } },
      { ...CHECK_18, chip: { ...chip, issuerApplicationData: Buffer.alloc(0) } },
    ]
    const verdicts = kinds(verifyCryptograms(store(), [...malformed, CHECK_18]))
    expect(verdicts).toEqual([...malformed.map(() => 'invalid'), 'valid'])
  })

  test('a failure of the key store that is no refusal is not swallowed', () => {
    const real = store()
    const broken: KeyStore = {
      ...real,
      find: (name, usage) => ({
        ...real.find(name, usage),
        encrypt: () => {
          throw new Error('token removed')
        },
      }),
    }
    expect(() => verifyCryptograms(broken, [CHECK_18])).toThrow('token removed')
  })
})

describe('response cryptograms', () => {
  test('method 1, Visa CVN 10: the vector, whole', () => {
    expect('910A' + answerOf(CHECK_10, '00', true)).toBe(VISA_10.tag91)
  })

  test('method 2, Visa CVN 18: the vector is of a CSU without any bit', () => {
    expect('9108' + answerOf(CHECK_18, '05', false)).toBe(VISA_18.tag91)
    expect(answerOf(CHECK_18, '00', true).slice(8)).toBe('00800000')
    expect(answerOf(CHECK_18, '00', true).slice(0, 8)).not.toBe(VISA_18.tag91!.slice(4, 12))
  })

  test('method 1, M/Chip CVN 17: the vector is of an approval', () => {
    const [{ arpc, code } = { arpc: '', code: '' }] = vectors.cryptograms[2]!.arpc
    expect(answerOf(CHECK_17, '00', true)).toBe(arpc + code)
    expect(answerOf(CHECK_17, '51', false)).not.toContain(arpc)
  })

  test('answers are in order, each with the key of its own card', () => {
    const requests = [CHECK_18, CHECK_10, CHECK_17].map((check) => ({
      session: sessionOf(check),
      responseCode: '00',
      approved: true,
    }))
    const answers = responseCryptograms(requests).map((answer) => answer.toString('hex').toUpperCase())
    expect(answers).toEqual([CHECK_18, CHECK_10, CHECK_17].map((check) => answerOf(check, '00', true)))
  })

  test('a session prints as nothing and no other object passes for one', () => {
    const session = sessionOf(CHECK_18)
    for (const text of [JSON.stringify(session), inspect(session, { depth: 9, showHidden: true }), JSON.stringify({ session })]) {
      expect(text).toContain('ChipSession')
      expect(text.length).toBeLessThan(40)
    }
    const forged = { brand: 'ChipSession' } as const
    expect(() => responseCryptograms([{ session: forged, responseCode: '00', approved: true }])).toThrow(TypeError)
  })
})

describe('script commands', () => {
  const request = {
    scheme: 'visa',
    key: 'imk-smi',
    pan: VISA_10.pan,
    psn: VISA_10.psn,
    atc: CHECK_10.chip.atc,
    cryptogram: CHECK_10.chip.cryptogram,
    command: 'APPLICATION_UNBLOCK',
  } as const

  test('the vector of Visa; a key for another purpose refuses its item only', () => {
    const outcomes = scriptCommands(store(), [{ ...request, key: 'imk-ac' }, request, { ...request, key: 'none' }])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['refused', 'made', 'refused'])
    const made = outcomes[1]
    const { script } = vectors.cryptograms[0]!
    if (made?.kind !== 'made') expect.fail()
    expect(made.apdu.toString('hex').toUpperCase()).toBe(script!.apduHeader + script!.mac)
  })

  test('a PAN of more than 16 digits is derived as its CVN says', () => {
    const long = { ...request, pan: '1234567890123456789' }
    const apdus = ['06010A03A06010', '06011203A0B800'].map((iad) => {
      const [made] = scriptCommands(store(), [{ ...long, issuerApplicationData: Buffer.from(iad, 'hex') }])
      return made?.kind === 'made' ? made.apdu.toString('hex') : made?.kind
    })
    const [without] = scriptCommands(store(), [long])
    expect(apdus[0]).not.toBe(apdus[1])
    expect(without?.kind === 'made' && without.apdu.toString('hex')).toBe(apdus[0])
  })
})
