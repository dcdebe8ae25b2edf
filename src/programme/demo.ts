/**
 * The demo programme: the same cards, merchants and terminals wherever it is made. Card numbers begin with 9818, which ISO/IEC 7812-1
 * leaves to Egypt (9 and the country's number 818), so that none of them is a card of a scheme.
 */
import { luhnCheckDigit, type CardState } from '../card.ts'
import { GOVERNORATE_MAX } from './governorates.ts'

const DEMO_IIN = '981801'
const OLD_CARD_IIN = '981809'

/** The number of the card of a head of household; households are 1 to 99,999,999, above that it is a member's or nobody's. */
export function demoPan(household: number): string {
  return cardNumber(DEMO_IIN, household)
}

/** The number of the card of a member, 1 (the head) to 9. The head's have a 0 where the others have the member. */
export function demoMemberPan(household: number, member: number): string {
  return member === 1 ? demoPan(household) : cardNumber(`${DEMO_IIN}${String(member)}`, household)
}

/** The number of the old ration card of a household that still has one. */
export function demoOldPan(household: number): string {
  return cardNumber(OLD_CARD_IIN, household)
}

const PAN_DIGITS = 16

/** ISO/IEC 7812-1: what the number begins with, a number within that, a check digit. */
function cardNumber(prefix: string, number: number): string {
  const payload = prefix + String(number).padStart(PAN_DIGITS - 1 - prefix.length, '0')
  return payload + luhnCheckDigit(payload)
}

/** The card of a head of household, and the cash purse that comes with it. */
export interface DemoCard {
  readonly household: number
  readonly pan: string
  readonly expiry: string
  readonly state: CardState
  /** Opening balance, piasters. */
  readonly balance: number
  readonly note: string
}

export const GOOD_UNTIL = '2912'

export const GOVERNORATES = GOVERNORATE_MAX
/** Port Said, where the programme began. */
export const PILOT_GOVERNORATE = 3
/** Nothing has been announced there yet. */
export const GOVERNORATE_WITHOUT_SERVICES = 27

/** Households 11 to 19 show what a card may run into; all others have a plain active card. */
const SPECIAL: Readonly<Record<number, { state?: CardState; expiry?: string; balance?: number; note: string }>> = {
  11: { state: 'LOST', note: 'reported lost: 41' },
  12: { state: 'STOLEN', note: 'reported stolen: 43' },
  13: { state: 'SUSPENDED_BIOMETRIC', note: 'suspended after wrong fingerprints: 62' },
  14: { expiry: '2401', note: 'expired: 54' },
  15: { state: 'CLOSED', note: 'closed: 46' },
  16: { state: 'AWAITING_COLLECTION', note: 'not yet collected: 78' },
  17: { balance: 1000, note: 'holds 10.00 only: 51 above it' },
  18: { state: 'PIN_BLOCKED', note: 'PIN tries exceeded: 75 with a PIN' },
  19: { note: 'health cover has ended: 57 at CLN00001' },
}

/** The second member of the first households has some cash; other members have none. */
export const SECOND_MEMBER_BALANCE = 50_000

/** Households from here on have plain active cards only: for load generators. */
export const FIRST_PLAIN_HOUSEHOLD = 21

export function demoCard(household: number): DemoCard {
  const special = SPECIAL[household]
  return {
    household,
    pan: demoPan(household),
    expiry: special?.expiry ?? GOOD_UNTIL,
    state: special?.state ?? 'ACTIVE',
    balance: special?.balance ?? 5_000_000 + (household % 1000) * 100,
    note: special?.note ?? 'active',
  }
}

/** YYMM of any card of the programme. */
export function demoExpiry(pan: string): string {
  const household = Number(pan.slice(-1 - HOUSEHOLD_DIGITS, -1))
  return demoPan(household) === pan ? demoCard(household).expiry : GOOD_UNTIL
}

/** A member's card has the fewest for the household's number. */
const HOUSEHOLD_DIGITS = 8

export interface DemoTerminal {
  readonly id: number
  readonly terminalId: string
  readonly class: string
  readonly merchantId: number
  readonly acceptorId: string
  readonly category: string
  readonly merchantName: string
  /** Where the merchant is, 1 to 27; 0 where it is everywhere. */
  readonly governorate: number
  /** It takes the price of bread from the card's cash purse. */
  readonly wallet: boolean
  readonly state: string
}

interface TerminalGroup {
  readonly prefix: string
  readonly class: string
  readonly category: string
  readonly name: string
  readonly count: number
  /** Terminals a merchant. */
  readonly each: number
  /** Each merchant is in one governorate. */
  readonly local?: true
}

const GROUPS: readonly TerminalGroup[] = [
  { prefix: 'POS', class: 'pos', category: '5399', name: 'Shop', count: 1000, each: 5 },
  { prefix: 'GRO', class: 'grocer', category: '5411', name: 'Grocer', count: 100, each: 1, local: true },
  { prefix: 'BAK', class: 'bakery', category: '5462', name: 'Bakery', count: 100, each: 1, local: true },
  { prefix: 'CLN', class: 'clinic', category: '8011', name: 'Clinic', count: 20, each: 1, local: true },
  { prefix: 'ATM', class: 'atm', category: '6011', name: 'Post ATM', count: 50, each: 50 },
  { prefix: 'PST', class: 'post-office', category: '6010', name: 'Post office', count: 20, each: 20 },
  { prefix: 'GOV', class: 'government', category: '9399', name: 'Government service', count: 20, each: 1 },
  { prefix: 'TRF', class: 'transfer', category: '6012', name: 'Transfer link', count: 4, each: 4 },
]

/** A card that a person may try things with. */
export interface ShownCard {
  readonly pan: string
  readonly expiry: string
  /** Opening balance of its cash purse, piasters; absent where it has none. */
  readonly balance?: number
  readonly note: string
}

/** Cards worth showing: plain ones, one of each role, then what a card may run into. */
export const demoCards: readonly ShownCard[] = [
  { ...demoCard(1), note: 'head of 4: bread at BAK00001, ration at GRO00001, cash anywhere' },
  { ...demoCard(2), note: 'head of 2, exempt from co-pay: try it at CLN00001' },
  {
    pan: demoMemberPan(1, 2),
    expiry: GOOD_UNTIL,
    balance: SECOND_MEMBER_BALANCE,
    note: "member's card: cash and health; bread or ration 57",
  },
  { pan: demoOldPan(4), expiry: GOOD_UNTIL, note: `old ration card: stops (62) once ${demoPan(4)} draws bread or ration` },
  { ...demoCard(26), note: 'governorate 27, nothing announced yet: bread, ration and health 57' },
  ...Object.keys(SPECIAL).map((household) => demoCard(Number(household))),
]

/** Grocers, bakeries and clinics: the first two of each are in the pilot's governorate, then one after the other. */
const PILOT_OUTLETS = 2
const WALLET_BAKERY = 2

function outletGovernorate(number: number): number {
  return number <= PILOT_OUTLETS ? PILOT_GOVERNORATE : ((number - PILOT_OUTLETS - 1) % GOVERNORATES) + 1
}

/** Every terminal of the demo programme. The last shop's terminals are suspended. */
export function demoTerminals(): DemoTerminal[] {
  const terminals: DemoTerminal[] = []
  let merchantId = 0
  for (const group of GROUPS) {
    for (let number = 1; number <= group.count; number++) {
      if ((number - 1) % group.each === 0) merchantId++
      terminals.push({
        id: terminals.length + 1,
        terminalId: group.prefix + String(number).padStart(5, '0'),
        class: group.class,
        merchantId,
        acceptorId: String(merchantId).padStart(15, '0'),
        category: group.category,
        merchantName: `${group.name} ${String(Math.ceil(number / group.each))}`,
        governorate: group.local === true ? outletGovernorate(number) : 0,
        wallet: group.class === 'bakery' && number === WALLET_BAKERY,
        state: group.class === 'pos' && number > group.count - group.each ? 'SUSPENDED' : 'ACTIVE',
      })
    }
  }
  return terminals
}

/** The first terminal of a class. @throws RangeError for a class the programme does not have */
export function demoTerminal(terminalClass: string): DemoTerminal {
  const terminal = demoTerminals().find((candidate) => candidate.class === terminalClass)
  if (terminal === undefined) throw new RangeError(`the demo programme has no terminal of class ${terminalClass}`)
  return terminal
}
