/**
 * What a message shows of its card and its holder, to be verified and then forgotten: none of it is stored, logged or traced. The PIN block is
 * overwritten as soon as it has been verified.
 */
import { Pan } from '../card.ts'
import type { MessageLink } from '../settings.ts'
import type { Message } from '../iso8583/message.ts'
import { privateDatum, type PrivateDatum } from '../iso8583/privateData.ts'
import { readChipData, type ChipField } from '../security/chipData.ts'
import type { PinFormat, PinKey } from '../security/hsm.ts'
import type { CardProfile } from '../securityParameters.ts'

/** ISO 8583-1:1987 DE 22 positions 1 and 2, in the use that card schemes have made common. */
export type EntryMode = 'manual' | 'stripe' | 'chip' | 'contactless' | 'contactless-stripe' | 'unknown'

const ENTRY_MODES: Readonly<Record<string, EntryMode>> = {
  '01': 'manual',
  '02': 'stripe',
  '05': 'chip',
  '07': 'contactless',
  '80': 'stripe',
  '90': 'stripe',
  '91': 'contactless-stripe',
  '95': 'chip',
}

export interface PinBlock {
  readonly block: Buffer
  readonly format: PinFormat
  readonly under: PinKey
}

/** Track 2 without the card number (ISO/IEC 7813). */
export interface StripeData {
  readonly expiry: string
  readonly serviceCode: string
  readonly discretionary: string
}

export interface Credentials {
  readonly pan: Pan
  readonly profile: CardProfile
  readonly entry: EntryMode
  readonly pin: PinBlock | undefined
  /** A new PIN, where one is asked for. */
  readonly newPin: PinBlock | undefined
  readonly chip: ChipField | undefined
  /** DE 23, two digits. */
  readonly psn: string | undefined
  readonly stripe: StripeData | undefined
  /** Printed on the card, typed in: DE 48 C2; and DE 14, which belongs to it. */
  readonly cardValue2: string | undefined
  readonly expiry: string | undefined
}

/** What came with a message or a request, before it is known whether it makes sense. Blocks and serial numbers as bytes. */
export interface Shown {
  readonly entry: EntryMode
  readonly pinBlock: Buffer | undefined
  readonly newPinBlock: Buffer | undefined
  /** Format of the blocks; undefined: the first that the link takes. */
  readonly pinFormat: string | undefined
  /** DUKPT. */
  readonly keySerialNumber: Buffer | undefined
  /** DE 55. */
  readonly chipData: Buffer | undefined
  readonly psn: string | undefined
  readonly stripe: StripeData | undefined
  readonly cardValue2: string | undefined
  readonly expiry: string | undefined
}

export type CredentialsMade =
  /** Undefined: there is nothing that could be verified. */
  | { readonly kind: 'made'; readonly credentials: Credentials | undefined }
  | { readonly kind: 'reject'; readonly what: 'chipData' | 'pinBlock' | 'newPinBlock'; readonly expected: string }

export type CredentialsRead =
  | { readonly kind: 'read'; readonly credentials: Credentials | undefined }
  /** DE 55 or DE 52 is not what it must be: 30. */
  | { readonly kind: 'reject'; readonly path: string; readonly expected: string }

/** Whose card it is, and the keys of the way that it came. */
export interface CredentialsContext {
  /** Digits. */
  readonly pan: string
  readonly profile: CardProfile | undefined
  readonly link: { readonly pin?: MessageLink['pin'] | undefined }
  readonly terminalId: string
}

/**
 * The format of a PIN block is that of DE 48 PF, else of DE 53 positions 5 and 6, else the first that the link takes. A block of 16 bytes, which DE
 * 52 has no room for, is in DE 48 PB.
 *
 * @returns undefined credentials where there is nothing that could be verified
 */
export function readCredentials(
  message: Message,
  privateData: readonly PrivateDatum[],
  context: CredentialsContext,
): CredentialsRead {
  // Most messages of a card that is not verified end here.
  if (context.profile === undefined) return { kind: 'read', credentials: undefined }
  const short = message.bytes(52)
  const made = credentialsOf(
    {
      entry: ENTRY_MODES[message.text(22)?.slice(0, 2) ?? ''] ?? 'unknown',
      pinBlock: hexBytes(privateDatum(privateData, 'PB')) ?? (short === undefined ? undefined : Buffer.from(short)),
      newPinBlock: hexBytes(privateDatum(privateData, 'NP')),
      pinFormat: privateDatum(privateData, 'PF') ?? controlFormat(message),
      keySerialNumber: hexBytes(privateDatum(privateData, 'KS')),
      chipData: message.bytes(55),
      psn: message.text(23)?.slice(-2),
      stripe: stripeOf(message.text(35)),
      cardValue2: privateDatum(privateData, 'C2'),
      expiry: message.text(14),
    },
    context,
  )
  if (made.kind === 'reject') return { kind: 'reject', path: PATHS[made.what], expected: made.expected }
  return { kind: 'read', credentials: made.credentials }
}

const PATHS = { chipData: 'DE 55', pinBlock: 'DE 52', newPinBlock: 'DE 48.NP' } as const

/** The same for messages and for requests in JSON. The blocks are kept, and overwritten when they have been verified. */
export function credentialsOf(shown: Shown, context: CredentialsContext): CredentialsMade {
  const { profile } = context
  if (profile === undefined) return NOTHING
  const chip = chipOf(shown.chipData, profile)
  if (chip === 'broken') return reject('chipData', 'the data objects of a chip cryptogram, each once and of its length')
  const pin = pinOf(shown.pinBlock, shown, context)
  if (pin === 'broken')
    return reject('pinBlock', 'a PIN block of a format that this link takes, with its key serial number under DUKPT')
  const newPin = pinOf(shown.newPinBlock, shown, context)
  if (newPin === 'broken') return reject('newPinBlock', 'a PIN block of the same form as the old one')
  const { stripe, cardValue2, entry, psn, expiry } = shown
  if (chip === undefined && pin === undefined && stripe === undefined && cardValue2 === undefined && newPin === undefined)
    return NOTHING
  const pan = Pan.parse(context.pan)
  // No card has such a number.
  if (pan === undefined) return NOTHING
  return { kind: 'made', credentials: { pan, profile, entry, pin, newPin, chip, psn, stripe, cardValue2, expiry } }
}

const NOTHING: CredentialsMade = { kind: 'made', credentials: undefined }

function reject(what: 'chipData' | 'pinBlock' | 'newPinBlock', expected: string): CredentialsMade {
  return { kind: 'reject', what, expected }
}

function hexBytes(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'hex')
}

/** Of a card without a chip profile, and of a message without cryptogram, DE 55 says nothing that could be verified. */
function chipOf(data: Buffer | undefined, profile: CardProfile): ChipField | undefined | 'broken' {
  if (data === undefined || profile.chip === undefined) return undefined
  const read = readChipData(data)
  return read.ok ? read.value : 'broken'
}

const BLOCK_BYTES: Readonly<Record<PinFormat, number>> = { 0: 8, 3: 8, 4: 16 }

function pinOf(
  block: Buffer | undefined,
  { pinFormat, keySerialNumber }: Shown,
  { link, terminalId }: CredentialsContext,
): PinBlock | undefined | 'broken' {
  if (block === undefined) return undefined
  if (link.pin === undefined) return 'broken'
  const format = pinFormat === undefined ? link.pin.format : FORMATS.find((known) => Number(pinFormat) === known)
  if (format === undefined || block.length !== BLOCK_BYTES[format]) return 'broken'
  const named = (name: string | undefined): string | undefined => name?.replace('{terminal}', () => terminalId.toLowerCase())
  if (link.pin.management === 'zone') {
    const key = named(format === 4 ? link.pin.aesKey : link.pin.tdesKey)
    return key === undefined ? 'broken' : { block, format, under: { by: 'zone', key } }
  }
  const ksn = keySerialNumber ?? Buffer.alloc(0)
  const key = named(ksn.length === TDES_KSN_BYTES ? link.pin.tdesKey : ksn.length === AES_KSN_BYTES ? link.pin.aesKey : undefined)
  return key === undefined ? 'broken' : { block, format, under: { by: 'dukpt', key, ksn } }
}

const FORMATS: readonly PinFormat[] = [0, 3, 4]
/** X9.24-1:2009, X9.24-3:2017. */
const TDES_KSN_BYTES = 10
const AES_KSN_BYTES = 12

/** DE 53 positions 5 and 6, where the dialect has it as sixteen digits. */
function controlFormat(message: Message): string | undefined {
  return message.spec.fields[53]?.type === 'n' ? message.text(53)?.slice(4, 6) : undefined
}

/** ISO/IEC 7813: PAN, separator, expiry (4), service code (3), discretionary data. */
export function stripeOf(track: string | undefined): StripeData | undefined {
  const match = track === undefined ? null : /[=D](\d{4})(\d{3})(\d*)/.exec(track)
  if (match === null) return undefined
  const [, expiry = '', serviceCode = '', discretionary = ''] = match
  return { expiry, serviceCode, discretionary }
}
