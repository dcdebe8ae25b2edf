/**
 * What every HSM promises (src/security/hsm.ts), kept by each, and the published vectors asked through it. Left out are those that no request of
 * the port can ask: MACs and data under DUKPT keys, cryptograms of IADs that no scheme here has (jPOS, Interac), keys and tables by themselves.
 */
import { createDecipheriv } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { iccMasterKey } from '../../src/security/chipKeys.ts'
import { cryptogramKey, cryptogramMethod, paddedMac } from '../../src/security/cryptogram.ts'
import { scheduleKey } from '../../src/security/des.ts'
import type { CryptogramCheck, EncipheredPin, Hsm, PinKey, PinReference } from '../../src/security/hsm.ts'
import { parseIssuerApplicationData } from '../../src/security/issuerApplicationData.ts'
import { KeyBlockError } from '../../src/security/keyBlockHeader.ts'
import { KeyRefused, type KeyStore } from '../../src/security/keys.ts'
import { paymentHsm } from '../../src/security/paymentHsm.ts'
import { buildPinBlock } from '../../src/security/pinBlock.ts'
import { keyStoresUnderTest } from '../support/keyStores.ts'
import { digits, handleOf, hex } from './clearKeys.ts'
import {
  cardValueCases,
  CHECK_10,
  CHECK_17,
  CHECK_18,
  checkOf,
  everyFormat,
  FORMAT_4,
  IMK,
  KBPKS,
  macCases,
  mchip17,
  offsetByFixedTable,
  pinUnder,
  putVectorKeys,
  underZpk,
  visa10,
  visa18,
  zone,
  ZPK_2,
} from './vectorRequests.ts'
import chip from './vectors/chip.json' with { type: 'json' }
import aes from './vectors/dukptAes.json' with { type: 'json' }
import tdes from './vectors/dukptTdes.json' with { type: 'json' }
import keyBlocks from './vectors/keyBlocks.json' with { type: 'json' }
import pins from './vectors/pin.json' with { type: 'json' }

const NONE = Buffer.alloc(0)
const PAN = '1122334455667788'

const upper = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase()
const kinds = (outcomes: readonly { readonly kind: string }[]): string[] => outcomes.map(({ kind }) => kind)

describe.each(keyStoresUnderTest())('%s HSM', (name, open) => {
  let store: KeyStore
  let hsm: Hsm

  beforeAll(() => {
    store = open()
    putVectorKeys(store)
    hsm = paymentHsm(store)
  })

  afterAll(() => hsm.close())

  test('says what it is and which keys it has', () => {
    expect(hsm.kind).toBe(name === 'software' ? 'software' : 'pkcs11')
    expect(hsm.keys()).toContainEqual(
      expect.objectContaining({ name: 'data', usage: 'D0', algorithm: 'A', bytes: 32, exportable: false }),
    )
  })

  describe('PIN', () => {
    /** As a format 0 block under a key whose value the test knows, deciphered. */
    const translated = async (...batch: EncipheredPin[]): Promise<string[]> => {
      const outcomes = await hsm.translatePins(batch.map((pin) => ({ ...pin, to: { format: 0, key: 'zpk.2' } })))
      return outcomes.map((outcome) =>
        outcome.kind === 'made'
          ? upper(createDecipheriv('des-ede', hex(ZPK_2), null).setAutoPadding(false).update(outcome.block))
          : outcome.kind,
      )
    }

    test.each(pins.pvv)(
      'PVV $pvv of PIN $pin, verified and made, in every format ($source)',
      async ({ pvk, pvki, pin, pan, pvv }) => {
        const key = `pvk.${pvk.toLowerCase()}`
        const reference: PinReference = { method: 'pvv', key, pvki, pvv }
        const right = everyFormat(pin, pan)
        const wrong = everyFormat(pin === '0000' ? '0001' : '0000', pan)
        const checks = right.flatMap((each, index) => [each, wrong[index]!]).map((each) => ({ ...each, reference }))
        expect(await hsm.verifyPins(checks)).toEqual(right.flatMap(() => ['valid', 'invalid']))
        expect(await hsm.pinReferences(right.map((each) => ({ ...each, method: 'pvv', key, pvki })))).toEqual(
          right.map(() => ({ kind: 'made', reference })),
        )
      },
    )

    test.each(pins.ibm3624)('IBM 3624: PIN $pin of natural PIN $natural_pin, offset $offset ($source)', async (vector) => {
      const offset = offsetByFixedTable(vector.offset)
      const reference: PinReference = { method: 'ibm3624', key: 'pvk.ibm', offset }
      const right = everyFormat(vector.pin, vector.validation_data)
      expect(await hsm.verifyPins(right.map((each) => ({ ...each, reference })))).toEqual(right.map(() => 'valid'))
      const moved: PinReference = { ...reference, offset: offsetByFixedTable(offset) }
      expect(await hsm.verifyPins(right.map((each) => ({ ...each, reference: moved })))).toEqual(right.map(() => 'invalid'))
      const requests = right.map((each) => ({ ...each, method: 'ibm3624' as const, key: 'pvk.ibm', pvki: '' }))
      expect(await hsm.pinReferences(requests)).toEqual(right.map(() => ({ kind: 'made', reference })))
    })

    test('format 0 and 3 blocks of the vectors are opened, and built again as format 0', async () => {
      expect(await translated(...pins.format0.map(({ clear_block: block, pan }) => underZpk(block, pan)))).toEqual(
        pins.format0.map(({ clear_block: block }) => block),
      )
      expect(await translated(...pins.format3.map(({ clear_block: block, pan }) => underZpk(block, pan, 3)))).toEqual(
        pins.format3.map(({ pin }) => pins.format0.find((vector) => vector.pin === pin)?.clear_block),
      )
    })

    test.each(pins.format0_reject)('no format 0 block: $why', async ({ clear_block: block, pan }) => {
      expect(await translated(underZpk(block, pan))).toEqual(['broken'])
    })

    test(`format 4 (${pins.format4[0]!.source})`, async () => {
      const { pin, pan, enciphered } = FORMAT_4
      expect(await translated({ block: hex(enciphered), format: 4, under: zone('zpk.aes'), pan })).toEqual([
        upper(buildPinBlock(0, digits(pin), pan)),
      ])
    })

    test(`TDES DUKPT, all transactions in one batch (${tdes.source})`, async () => {
      const batch = tdes.rows.map(({ ksn, enc_pinblock: block }): EncipheredPin => ({
        block: hex(block),
        format: 0,
        under: { by: 'dukpt', key: 'bdk.tdes', ksn: hex(ksn) },
        pan: tdes.pan,
      }))
      expect(batch.length).toBeGreaterThan(20)
      expect(await translated(...batch)).toEqual(batch.map(() => tdes.clear_pinblock_fmt0))
    })

    test.each([
      ['bdk.aes128', aes.dukpt_aes128],
      ['bdk.aes256', aes.dukpt_aes256],
    ])(
      'AES DUKPT with %s: PINs under the keys of the vectors, and the blocks that they have',
      async (key, { rows, pin, pan }) => {
        const batch = rows.flatMap((row): EncipheredPin[] => {
          const under: PinKey = { by: 'dukpt', key, ksn: hex(row.ksn) }
          const own = row.pin_key === undefined ? [] : [pinUnder('A', row.pin_key, '', 4, pin, pan).block]
          const given =
            'enc_pinblock_fmt4' in row && typeof row.enc_pinblock_fmt4 === 'string' ? [hex(row.enc_pinblock_fmt4)] : []
          return [...own, ...given].map((block) => ({ block, format: 4, under, pan }))
        })
        expect(batch.length).toBeGreaterThan(4)
        expect(await translated(...batch)).toEqual(batch.map(() => upper(buildPinBlock(0, digits(pin), pan))))
      },
    )

    test('translates to every format', async () => {
      const [pin] = everyFormat('4524', PAN)
      const to = [
        { format: 0, key: 'zpk.2' },
        { format: 3, key: 'zpk.2' },
        { format: 4, key: 'zpk.aes' },
      ] as const
      const outcomes = await hsm.translatePins(to.map((each) => ({ ...pin!, to: each })))
      const blocks = outcomes.map((outcome, index): EncipheredPin => {
        if (outcome.kind !== 'made') expect.fail('not translated')
        return { block: outcome.block, format: to[index]!.format, under: zone(to[index]!.key), pan: PAN }
      })
      expect(await translated(...blocks)).toEqual(blocks.map(() => upper(buildPinBlock(0, digits('4524'), PAN))))
    })

    test('each item has its own verdict, in order; a key for another purpose refuses its own', async () => {
      const [pin] = everyFormat('4524', PAN)
      const [wrong] = everyFormat('4525', PAN)
      const key = `pvk.${IMK.toLowerCase()}`
      const reference: PinReference = { method: 'pvv', key, pvki: '1', pvv: '8523' }
      const right = { ...pin!, reference }
      expect(
        await hsm.verifyPins([
          { ...right, under: zone('bdk.tdes') },
          right,
          { ...right, reference: { ...reference, key: 'zpk' } },
          { ...right, under: zone('zpk.2') },
          { ...wrong!, reference },
          { ...right, under: zone('none') },
          { ...right, under: { by: 'dukpt', key: 'zpk', ksn: Buffer.alloc(10, 1) } },
          { ...right, reference: { ...reference, pvv: '852' } },
          right,
        ]),
      ).toEqual(['refused', 'valid', 'refused', 'broken', 'invalid', 'refused', 'refused', 'refused', 'valid'])
      const request = { ...pin!, method: 'pvv', key, pvki: '1' } as const
      const requests = [{ ...request, key: 'pvk.ibm' }, request, { ...request, under: zone('zpk.2') }]
      expect(kinds(await hsm.pinReferences(requests))).toEqual(['refused', 'made', 'broken'])
      const to = { format: 0, key: 'zpk.2' } as const
      const translations = [
        { ...pin!, to: { ...to, key } },
        { ...pin!, to },
        { ...pin!, under: zone('zpk.2'), to },
      ]
      expect(kinds(await hsm.translatePins(translations))).toEqual(['refused', 'made', 'broken'])
    })
  })

  describe('chip', () => {
    test.each([
      [visa10!.name, CHECK_10, '00', true, visa10!.tag91!.slice(4)],
      [visa18!.name, CHECK_18, '05', false, visa18!.tag91!.slice(4)],
      [mchip17!.name, CHECK_17, '00', true, mchip17!.arpc[0]!.arpc + mchip17!.arpc[0]!.code],
    ])('%s: request and response cryptogram', async (_name, check, responseCode, approved, expected) => {
      const [verdict] = await hsm.verifyCryptograms([check])
      if (verdict?.kind !== 'valid') expect.fail('not valid')
      const [answer] = await hsm.responseCryptograms([{ session: verdict.session, responseCode, approved }])
      expect(upper(answer!)).toBe(expected)
    })

    test.each([
      { scheme: 'visa' as const, ...chip.dataBuilders.cvn10 },
      { scheme: 'visa' as const, ...chip.dataBuilders.cvn18 },
      { scheme: 'visa' as const, ...chip.dataBuilders.cvn22 },
      { scheme: 'mchip' as const, ...chip.dataBuilders.mchip16 },
    ])(`$scheme with $iad: over the data that the vectors have (${chip.dataBuilders.source})`, async ({ scheme, iad, built }) => {
      const { cvn } = parseIssuerApplicationData(scheme, hex(iad))!
      const method = cryptogramMethod(scheme, cvn)!
      const check = checkOf(scheme, built, NONE, iad)
      const master = scheduleKey(iccMasterKey(handleOf('E0', 'T', IMK), check.pan, check.psn, 'A'))
      const session = cryptogramKey(method, master, check.chip.atc, check.chip.unpredictableNumber)
      const key = session === undefined ? master : scheduleKey(session)
      const cryptogram = paddedMac(key, method.padding, hex(built))
      const verdicts = await hsm.verifyCryptograms([
        { ...check, chip: { ...check.chip, cryptogram } },
        { ...check, chip: { ...check.chip, cryptogram: Buffer.from(cryptogram.map((byte) => byte ^ 1)) } },
      ])
      expect(kinds(verdicts)).toEqual(['valid', 'invalid'])
    })

    test('each item has its own verdict, in order, and each session its own card', async () => {
      const verdicts = await hsm.verifyCryptograms([
        { ...CHECK_18, key: 'imk-smi' },
        CHECK_17,
        { ...CHECK_10, chip: { ...CHECK_10.chip, cryptogram: Buffer.alloc(8) } },
        CHECK_10,
        { ...CHECK_10, key: 'none' },
        { ...CHECK_10, chip: { ...CHECK_10.chip, issuerApplicationData: hex('06011103A06010') } },
        CHECK_18,
      ])
      expect(kinds(verdicts)).toEqual(['refused', 'valid', 'invalid', 'valid', 'refused', 'unsupported', 'valid'])
      const sessions = verdicts.flatMap((verdict) => (verdict.kind === 'valid' ? [verdict.session] : []))
      const answers = await hsm.responseCryptograms(sessions.map((session) => ({ session, responseCode: '00', approved: true })))
      const [arpc] = mchip17!.arpc
      expect(upper(answers[0]!)).toBe(arpc!.arpc + arpc!.code)
      expect(upper(answers[1]!)).toBe(visa10!.tag91!.slice(4))
      expect(upper(answers[2]!).slice(8)).toBe('00800000')
    })

    test('script commands: the vectors of Visa, each item in order', async () => {
      const request = (check: CryptogramCheck, key = 'imk-smi') =>
        ({
          ...check,
          key,
          atc: check.chip.atc,
          cryptogram: check.chip.cryptogram,
          issuerApplicationData: check.chip.issuerApplicationData,
          command: 'APPLICATION_UNBLOCK',
        }) as const
      const outcomes = await hsm.scriptCommands([
        request(CHECK_18),
        request(CHECK_10, 'imk-ac'),
        request(CHECK_10),
        request(CHECK_17),
      ])
      expect(outcomes.map((outcome) => (outcome.kind === 'made' ? upper(outcome.apdu) : outcome.kind)).slice(0, 3)).toEqual([
        visa18!.script!.apduHeader + visa18!.script!.mac,
        'refused',
        visa10!.script!.apduHeader + visa10!.script!.mac,
      ])
      expect(kinds(outcomes)).toEqual(['made', 'refused', 'made', 'made'])
    })
  })

  test('card values: CVV, CVD and dCVV of the vectors, each item in order', async () => {
    const vectors = cardValueCases()
    // With service code 000 it is a CVV2 too.
    const [, cvd] = vectors
    const { key, expiry } = cvd!.value
    const cases = [...vectors, { ...cvd!, value: { kind: 'cvv2', key, expiry } as const }]
    expect(await hsm.cardValues(cases)).toEqual(cases.map(({ digits: made }) => ({ kind: 'made', digits: made })))
    const checks = cases.flatMap((item) => [
      { ...item, value: { ...item.value, key: 'zpk' }, given: item.digits },
      { ...item, given: item.digits },
      { ...item, given: String((Number(item.digits) + 1) % 1000).padStart(3, '0') },
    ])
    expect(await hsm.verifyCardValues(checks)).toEqual(cases.flatMap(() => ['refused', 'valid', 'invalid']))
    expect(await hsm.cardValues(checks.slice(0, 2))).toEqual([{ kind: 'refused' }, { kind: 'made', digits: cases[0]!.digits }])
  })

  test('MACs: retail MAC and CMAC of the vectors, one by one and all at once, each item in order', async () => {
    const cases = macCases()
    const expected = cases.map(({ mac }) => ({ kind: 'made', mac }))
    for (const [index, item] of cases.entries()) expect(await hsm.macs([item])).toEqual([expected[index]])
    // So many under one key that they are made side by side.
    const many = Array.from({ length: 20 }, () => cases).flat()
    expect(await hsm.macs(many)).toEqual(Array.from({ length: 20 }, () => expected).flat())
    const checks = cases.flatMap(({ mac, ...item }) => [
      { ...item, key: 'zpk', given: mac },
      { ...item, given: mac },
      { ...item, given: mac.subarray(0, 8) },
      { ...item, given: Buffer.from(mac.map((byte) => byte ^ 0x80)) },
      { ...item, given: mac.subarray(0, 7) },
    ])
    expect(await hsm.verifyMacs(checks)).toEqual(cases.flatMap(() => ['refused', 'valid', 'valid', 'invalid', 'invalid']))
    expect(kinds(await hsm.macs([{ ...cases[0]!, key: 'none' }, cases[0]!]))).toEqual(['refused', 'made'])
  })

  describe('stored data', () => {
    test('opens AES-256-GCM of others: McGrew and Viega, The Galois/Counter Mode of Operation, test case 14', async () => {
      const sealed = hex(`${'00'.repeat(12)}CEA7403D4D606B6E074EC5D3BAF39D18D0D1C8A799996BF0265B98B5D48AB919`)
      expect(await hsm.unseal('data', [{ data: sealed, associated: NONE }])).toEqual([Buffer.alloc(16)])
    })

    test('opens what it sealed, for the same row only, each item in order', async () => {
      const items = ['', '4', '4000000000000002'].map((text, index) => ({
        data: Buffer.from(text),
        associated: Buffer.from([index]),
      }))
      const sealed = (await hsm.seal('data', items)).map((data, index) => ({ data, associated: Buffer.from([index]) }))
      const moved = { ...sealed[1]!, associated: Buffer.from('x') }
      const cut = { ...sealed[2]!, data: sealed[2]!.data.subarray(1) }
      expect(await hsm.unseal('data', [sealed[2]!, moved, sealed[0]!, cut, sealed[1]!])).toEqual([
        items[2]!.data,
        undefined,
        items[0]!.data,
        undefined,
        items[1]!.data,
      ])
      await expect(hsm.seal('zpk.aes', items)).rejects.toThrow(KeyRefused)
      await expect(hsm.unseal('none', sealed)).rejects.toThrow(KeyRefused)
    })
  })

  describe('key blocks', () => {
    /** Versions A and C need the value of the protection key; the first block is for enciphering only. */
    const isTaken = (block: string): boolean => /^[BD]/.test(block) && block.slice(8, 9) !== 'E'
    const under = (kbpk: string): string => `kbpk.${String(KBPKS.indexOf(kbpk))}`

    test.each(keyBlocks.blocks.filter(({ block }) => isTaken(block)))('$name is imported', async ({ kbpk, block, key, kcv }) => {
      const info = await hsm.importKey(block, under(kbpk), 'imported')
      expect(info).toMatchObject({
        kcv,
        bytes: key.length / 2,
        usage: block.slice(5, 7),
        exportable: block.slice(11, 12) !== 'N',
      })
      expect(hsm.keys()).toContainEqual(info)
      store.remove('imported')
    })

    test.each(keyBlocks.blocks.filter(({ block }) => !isTaken(block)))('$name is refused', async ({ kbpk, block }) => {
      await expect(hsm.importKey(block, under(kbpk), 'imported')).rejects.toMatchObject({
        name: 'KeyBlockError',
        code: 'unsupported',
      })
      expect(hsm.keys().map((info) => info.name)).not.toContain('imported')
    })

    test('a changed block, or one under another key, is refused', async () => {
      const { kbpk, block } = keyBlocks.blocks.find((vector) => isTaken(vector.block))!
      const changed = block.slice(0, -1) + (block.endsWith('0') ? '1' : '0')
      await expect(hsm.importKey(changed, under(kbpk), 'imported')).rejects.toThrow(KeyBlockError)
      await expect(hsm.importKey(block, 'zpk', 'imported')).rejects.toThrow(KeyRefused)
    })

    test('a key goes out and comes back the same; one that may not leave stays', async () => {
      const aesKbpk = under(KBPKS.find((kbpk) => kbpk.length === 64)!)
      const zpk = hsm.keys().find((info) => info.name === 'zpk')!
      for (const [protection, version] of [
        [aesKbpk, 'D'],
        [under(KBPKS[0]!), 'B'],
      ] as const) {
        const block = await hsm.exportKey('zpk', protection)
        expect(block.slice(0, 1)).toBe(version)
        expect(await hsm.importKey(block, protection, 'zpk.back')).toEqual({ ...zpk, name: 'zpk.back' })
      }
      await expect(hsm.exportKey('zpk.2', aesKbpk)).rejects.toThrow(KeyRefused)
      await expect(hsm.exportKey('none', aesKbpk)).rejects.toThrow(KeyRefused)
      await expect(hsm.exportKey('zpk', 'zpk.aes')).rejects.toThrow(KeyRefused)
    })
  })

  test('of no items it makes none', async () => {
    expect(await hsm.verifyPins([])).toEqual([])
    expect(await hsm.verifyCryptograms([])).toEqual([])
    expect(await hsm.verifyCardValues([])).toEqual([])
    expect(await hsm.verifyMacs([])).toEqual([])
    expect(await hsm.seal('data', [])).toEqual([])
  })
})
