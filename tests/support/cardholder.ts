/** What a card and its holder show, made by the virtual devices with the development keys: PIN blocks, chips, stripes, printed values. */
import { randomBytes } from 'node:crypto'
import type { CardValue } from '../../src/security/hsm.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { paymentHsm } from '../../src/security/paymentHsm.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { virtualChip, type ChipTransaction, type Personalisation, type VirtualChip } from '../../src/security/virtualChip.ts'

/** Expiry and service code of the cards that tests open. */
export const EXPIRY = '2912'
export const SERVICE_CODE = '201'

export const keys = softwareKeyStore(developmentKeys())
export const hsm = paymentHsm(keys)

export type Cvn = Personalisation['cvn']

export interface ChipOptions {
  readonly cvn?: Cvn
  readonly atc?: number
  readonly psn?: string
}

/** The chip of a card. M/Chip cards have the prefix 981805, all others are Visa. */
export function chipOf(pan: string, { cvn = 10, atc = 0, psn = '00' }: ChipOptions = {}): VirtualChip {
  const isMchip = pan.startsWith('981805')
  const range = isMchip ? '981805' : '9818'
  return virtualChip({
    scheme: isMchip ? 'mchip' : 'visa',
    cvn,
    applicationKey: keys.find(`imk-ac.${range}`, 'E0'),
    integrityKey: keys.find(`imk-smi.${range}`, 'E2'),
    pan,
    psn,
    expiry: EXPIRY,
    serviceCode: SERVICE_CODE,
    icvv: icvvOf(pan),
    atc,
  })
}

/** A purchase in EGP today. @param amount minor units */
export function chipTransaction(amount: number, more: Partial<ChipTransaction> = {}): ChipTransaction {
  return {
    ...{ amount, country: '818', currency: '818', date: '261122', type: '00', unpredictableNumber: randomBytes(4) },
    ...more,
  }
}

/** DE 55 of one more transaction. */
export function chipData(chip: VirtualChip, amount: number, more: Partial<ChipTransaction> = {}): string {
  return hex(chip.generate(chipTransaction(amount, more)))
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase()
}

/** Three digits. */
export async function cardValue(pan: string, value: CardValue): Promise<string> {
  const [made] = await hsm.cardValues([{ pan, value }])
  if (made?.kind !== 'made') throw new Error(`no ${value.kind} can be made`)
  return made.digits
}

/** DE 35 as the profile has it: five digits, the value, for a contactless stripe four of the transaction counter. */
export function track2(pan: string, value: string, atc = ''): string {
  return `${pan}=${EXPIRY}${SERVICE_CODE}00000${value}${atc}`
}

const icvvs = new Map<string, string>()

/** Computed before: see `prepareIcvv`. */
function icvvOf(pan: string): string {
  return icvvs.get(pan) ?? '000'
}

/** A chip of this card made from now on has the right iCVV on its track. */
export async function prepareIcvv(pan: string): Promise<void> {
  icvvs.set(pan, await cardValue(pan, { kind: 'icvv', key: 'cvk.9818', expiry: EXPIRY }))
}
