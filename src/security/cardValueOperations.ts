/** The operations of the HSM on card verification values. Synchronous; each item has its own verdict. */
import { timingSafeEqual } from 'node:crypto'
import { assertNever } from '../assert.ts'
import { forEachKey, unlessRefused } from './byKey.ts'
import {
  CARD_VALUE_DIGITS,
  cardVerificationValues,
  CVV2_SERVICE_CODE,
  ICVV_SERVICE_CODE,
  panWithCounter,
  type CardValueData,
} from './cardValue.ts'
import type { CardValue, CardValueCheck, CardValueOutcome, CardValueRequest, Verdict } from './hsm.ts'
import type { KeyHandle, KeyStore } from './keys.ts'
import { softwareKey } from './softwareKeys.ts'

export interface CardValueOperations {
  verifyCardValues(batch: readonly CardValueCheck[]): Verdict[]
  cardValues(batch: readonly CardValueRequest[]): CardValueOutcome[]
}

/** EMV Book 2 A1.4: the key of a card, 16 bytes. */
export type IccMasterKey = (issuerMasterKey: KeyHandle, pan: string, psn: string, option: 'A' | 'B') => Buffer

export function cardValueOperations(keys: KeyStore, iccMasterKey: IccMasterKey): CardValueOperations {
  const make = (batch: readonly CardValueRequest[]): (Buffer | undefined)[] => valuesOf(keys, iccMasterKey, batch)
  return {
    verifyCardValues: (batch) =>
      make(batch).map((made, index) => {
        if (made === undefined) return 'refused'
        const given = batch[index]?.given ?? ''
        return /^\d{3}$/.test(given) && timingSafeEqual(made, digitsOf(given)) ? 'valid' : 'invalid'
      }),
    cardValues: (batch) =>
      make(batch).map((made) => (made === undefined ? { kind: 'refused' } : { kind: 'made', digits: made.join('') })),
  }
}

/** A digit a byte; undefined where the key could not be used, or the card's data is none. */
function valuesOf(keys: KeyStore, iccMasterKey: IccMasterKey, batch: readonly CardValueRequest[]): (Buffer | undefined)[] {
  const values = batch.map((): Buffer | undefined => undefined)
  const data = batch.map(dataOf)
  const keyOf = ({ value }: CardValueRequest, place: number): string | undefined =>
    data[place] !== undefined && value.kind !== 'dcvv' ? value.key : undefined
  forEachKey(batch, keyOf, ({ value: { key } }, places) => {
    const cards = places.map((place) => data[place]).filter((card) => card !== undefined)
    const made = cardVerificationValues(keys.find(key, 'C0'), cards)
    for (const [index, place] of places.entries()) {
      values[place] = made.subarray(index * CARD_VALUE_DIGITS, (index + 1) * CARD_VALUE_DIGITS)
    }
  })
  for (const [place, { pan, value }] of batch.entries()) {
    const card = data[place]
    if (card === undefined || value.kind !== 'dcvv') continue
    unlessRefused(() => {
      const key = iccMasterKey(keys.find(value.key, 'E0'), pan, value.psn, 'A')
      const cardKey = softwareKey({ name: `${value.key} (derived)`, usage: 'C0', algorithm: 'T', exportable: false, value: key })
      key.fill(0)
      values[place] = cardVerificationValues(cardKey, [card])
    })
  }
  return values
}

function dataOf({ pan, value }: CardValueRequest): CardValueData | undefined {
  const card = cardOf(pan, value)
  const isCard = /^\d{8,19}$/.test(card.pan) && /^\d{4}$/.test(card.expiry) && /^\d{3}$/.test(card.serviceCode)
  return isCard ? card : undefined
}

function cardOf(pan: string, value: CardValue): CardValueData {
  const { kind, expiry } = value
  switch (kind) {
    case 'cvv':
      return { pan, expiry, serviceCode: value.serviceCode }
    case 'icvv':
      return { pan, expiry, serviceCode: ICVV_SERVICE_CODE }
    case 'cvv2':
      return { pan, expiry, serviceCode: CVV2_SERVICE_CODE }
    case 'dcvv':
      // Where these are none, the PAN is none either.
      return {
        pan: /^\d{4}$/.test(value.atc) && /^\d{2}$/.test(value.psn) ? panWithCounter(pan, value.atc) : '',
        expiry,
        serviceCode: value.serviceCode,
      }
    default:
      return assertNever(kind)
  }
}

function digitsOf(text: string): Buffer {
  return Buffer.from(Array.from(text, Number))
}
