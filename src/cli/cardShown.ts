/** How a virtual terminal shows card and holder: DE 14, 22, 23, 35, 52, 55 and their part of DE 48. */
import { cairoDay } from '../clock.ts'
import { formatPrivateData, type PrivateDatum } from '../iso8583/privateData.ts'
import type { ProgrammeParameters } from '../programmeParameters.ts'
import { demoExpiry, demoTerminals } from '../programme/demo.ts'
import { DEMO_PSN, demoChip, demoContactlessStripe, demoPrintedValue, demoStripe } from '../programme/demoDevices.ts'
import type { PinFormat } from '../security/hsm.ts'
import type { KeyHandle } from '../security/keys.ts'
import type { VirtualChip } from '../security/virtualChip.ts'
import { enterPin } from '../security/virtualPinPad.ts'
import type { CardProfile } from '../securityParameters.ts'
import { CARD_PRESENT, SHAPES, type OutgoingMessage, type SendKind } from './transactionMessage.ts'
import { UsageError } from './usageError.ts'

export const ENTRIES = ['chip', 'contactless', 'stripe', 'contactless-stripe', 'manual'] as const
export type Entry = (typeof ENTRIES)[number]

/** ISO 8583-1:1987 DE 22: positions 1 and 2 as card schemes use them; position 3, the terminal can take a PIN. */
const ENTRY_MODE: Readonly<Record<Entry, string>> = {
  chip: '051',
  contactless: '071',
  stripe: '901',
  'contactless-stripe': '911',
  manual: '011',
}

/**
 * What was shown, without any of it: enough to show the same again in a repeat. The chip makes the same bytes of the same counter and
 * number; a PIN block is made again of the PIN, which nobody keeps.
 */
export interface Shown {
  readonly entry?: Entry
  /** Transaction counter of the chip. */
  readonly atc?: number
  /** Hexadecimal, 4 bytes. */
  readonly unpredictableNumber?: string
  /** Tag 9A, YYMMDD. */
  readonly date?: string
  readonly pinFormat?: PinFormat
}

export interface ShownOptions {
  readonly entry?: Entry
  /** False: the number is keyed in and nothing else of the card is shown. */
  readonly chip?: boolean
  /** False: none, even where one is asked for. */
  readonly pin?: string | false
  readonly pinFormat?: PinFormat
  readonly plain?: true
  /** YYMM, where it is no card of the demo programme. */
  readonly expires?: string
}

interface Showing {
  readonly nowMs: number
  readonly parameters: ProgrammeParameters
  readonly profile: CardProfile | undefined
  /** The link's own, for messages that do not say. */
  readonly pinFormat: PinFormat
  readonly unpredictableNumber: () => Buffer
  /** Called once where the chip is used. */
  takeAtc(): number
}

/**
 * What the terminal does with the card, by the options and the programme's rules: the chip where the card has one, and a PIN where one is asked for.
 *
 * @throws UsageError where the card has nothing of the kind
 */
export function shownBy(kind: SendKind, options: ShownOptions, message: OutgoingMessage, showing: Showing): Shown {
  if (!CARD_PRESENT.includes(kind) || message.mti.charAt(2) === '2' || options.plain === true) return {}
  const { profile, parameters, nowMs } = showing
  const hasChip = profile?.chip !== undefined
  const entry = options.entry ?? (hasChip && options.chip !== false ? 'chip' : undefined)
  if (entry !== undefined && profile === undefined)
    throw new UsageError('--entry is for cards that config/security.json has a profile for')
  const usesChip = entry !== undefined && entry !== 'stripe' && entry !== 'manual'
  if (usesChip && !hasChip) throw new UsageError(`this card has no chip for --entry ${entry}`)
  const asksPin = profile?.pin !== undefined && isPinAsked(kind, message, parameters)
  const entersPin = options.pin === false ? false : options.pin !== undefined || asksPin
  return {
    ...(entry === undefined ? {} : { entry }),
    ...(usesChip ? { atc: showing.takeAtc() } : {}),
    ...(entry === 'chip' || entry === 'contactless'
      ? {
          unpredictableNumber: showing.unpredictableNumber().toString('hex'),
          date: cairoDay(nowMs).slice(2).replaceAll('-', ''),
        }
      : {}),
    ...(entersPin ? { pinFormat: options.pinFormat ?? showing.pinFormat } : {}),
  }
}

/** As the switch asks for it (src/decision/verification.ts): at terminals of some classes, of some services, and to change it. */
function isPinAsked(kind: SendKind, { fields }: OutgoingMessage, { pin, services }: ProgrammeParameters): boolean {
  if (kind === 'pin-change') return true
  if (kind === 'deposit') return false
  const terminal = demoTerminals().find(({ terminalId }) => terminalId === fields[41])
  if (terminal !== undefined && pin.terminalClasses.includes(terminal.class)) return true
  const { purse, transactionType } = SHAPES[kind]
  return transactionType === '00' && purse !== undefined && services[purse]?.pin === true
}

export interface Holder {
  readonly profile: CardProfile | undefined
  readonly pin: string
  readonly newPin: string | undefined
  /** YYMM of the card; undefined: as the demo programme has it. */
  readonly expires?: string | undefined
  /** The link's own format: where the block has another one the message says so. */
  readonly pinFormat: PinFormat
  readonly pinKey: (format: PinFormat) => KeyHandle
}

/** @returns the message with card and holder in it, and the chip that waits for its answer */
export function showCard(
  message: OutgoingMessage,
  shown: Shown,
  holder: Holder,
): { readonly message: OutgoingMessage; readonly chip: VirtualChip | undefined } {
  const { profile, expires } = holder
  const fields = [...message.fields]
  const pan = fields[2] ?? ''
  const { entry, atc = 0 } = shown
  const data: PrivateDatum[] = []
  let chip: VirtualChip | undefined
  if (entry !== undefined && profile !== undefined) {
    fields[22] = ENTRY_MODE[entry]
    switch (entry) {
      case 'chip':
      case 'contactless':
        fields[23] = DEMO_PSN.padStart(3, '0')
        chip = demoChip(profile, pan, atc - 1, expires)
        fields[55] = chip === undefined ? undefined : hex(cryptogramOf(chip, message, shown))
        break
      case 'stripe':
        fields[35] = demoStripe(profile, pan, expires)
        break
      case 'contactless-stripe':
        fields[23] = DEMO_PSN.padStart(3, '0')
        fields[35] = demoContactlessStripe(profile, pan, atc, expires)
        break
      case 'manual': {
        fields[14] = expires ?? demoExpiry(pan)
        const printed = demoPrintedValue(profile, pan, expires)
        if (printed !== undefined) data.push({ tag: 'C2', value: printed })
      }
    }
  }
  if (shown.pinFormat !== undefined) enterPins(fields, data, pan, shown.pinFormat, holder)
  if (data.length > 0) fields[48] = (fields[48] ?? '') + formatPrivateData(data)
  return { message: { mti: message.mti, fields }, chip }
}

/** DE 52 has room for 8 bytes; a longer block and that of a new PIN are in DE 48. */
function enterPins(fields: (string | undefined)[], data: PrivateDatum[], pan: string, format: PinFormat, holder: Holder): void {
  const block = (pin: string): string => hex(enterPin(holder.pinKey(format), format, pan, pin))
  const entered = block(holder.pin)
  if (format !== holder.pinFormat) data.push({ tag: 'PF', value: String(format) })
  if (format === 4) data.push({ tag: 'PB', value: entered })
  else fields[52] = entered
  if (holder.newPin !== undefined) data.push({ tag: 'NP', value: block(holder.newPin) })
}

/** EMV Book 3 annex C3: enciphered PIN for the issuer to verify, or no verification. */
const PIN_ONLINE = Buffer.from('020300', 'hex')
const NO_VERIFICATION = Buffer.from('1F0002', 'hex')
/** ISO 3166-1 and ISO 4217: Egypt and its pound have the same number. */
const EGYPT = '818'

function cryptogramOf(chip: VirtualChip, { fields }: OutgoingMessage, { unpredictableNumber, date, pinFormat }: Shown): Buffer {
  return chip.generate({
    amount: Number(fields[4] ?? '0'),
    country: EGYPT,
    currency: fields[49] ?? EGYPT,
    date: date ?? '',
    type: fields[3]?.slice(0, 2) ?? '00',
    unpredictableNumber: Buffer.from(unpredictableNumber ?? '', 'hex'),
    cardholderVerification: pinFormat === undefined ? NO_VERIFICATION : PIN_ONLINE,
  })
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase()
}
