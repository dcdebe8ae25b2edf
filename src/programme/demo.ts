/**
 * The demo programme: the same cards, merchants and terminals wherever it is made. Card numbers begin with 9818, which ISO/IEC 7812-1
 * leaves to Egypt (9 and the country's number 818), so that none of them is a card of a scheme.
 */
import { luhnCheckDigit, type CardState } from '../card.ts'

const DEMO_IIN = '981801'

/** The number of the card of household `household`, 1 to 999,999,999. */
export function demoPan(household: number): string {
  const payload = DEMO_IIN + String(household).padStart(9, '0')
  return payload + luhnCheckDigit(payload)
}

export interface DemoCard {
  readonly household: number
  readonly pan: string
  readonly expiry: string
  readonly state: CardState
  /** Opening balance, piasters. */
  readonly balance: number
  readonly note: string
}

const GOOD_UNTIL = '2912'

/** Households 11 to 18 show what a card may run into; all others have a plain active card. */
const SPECIAL: Readonly<Record<number, { state?: CardState; expiry?: string; balance?: number; note: string }>> = {
  11: { state: 'LOST', note: 'reported lost: 41' },
  12: { state: 'STOLEN', note: 'reported stolen: 43' },
  13: { state: 'SUSPENDED_BIOMETRIC', note: 'suspended after wrong fingerprints: 62' },
  14: { expiry: '2401', note: 'expired: 54' },
  15: { state: 'CLOSED', note: 'closed: 46' },
  16: { state: 'AWAITING_COLLECTION', note: 'not yet collected: 78' },
  17: { balance: 1000, note: 'holds 10.00 only: 51 above it' },
  18: { state: 'PIN_BLOCKED', note: 'PIN tries exceeded: 75 with a PIN' },
}

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

export interface DemoTerminal {
  readonly id: number
  readonly terminalId: string
  readonly class: string
  readonly merchantId: number
  readonly acceptorId: string
  readonly category: string
  readonly merchantName: string
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
}

const GROUPS: readonly TerminalGroup[] = [
  { prefix: 'POS', class: 'pos', category: '5399', name: 'Shop', count: 1000, each: 5 },
  { prefix: 'GRO', class: 'grocer', category: '5411', name: 'Grocer', count: 100, each: 1 },
  { prefix: 'BAK', class: 'bakery', category: '5462', name: 'Bakery', count: 100, each: 1 },
  { prefix: 'CLN', class: 'clinic', category: '8011', name: 'Clinic', count: 20, each: 1 },
  { prefix: 'ATM', class: 'atm', category: '6011', name: 'Post ATM', count: 50, each: 50 },
  { prefix: 'PST', class: 'post-office', category: '6010', name: 'Post office', count: 20, each: 20 },
  { prefix: 'GOV', class: 'government', category: '9399', name: 'Government service', count: 20, each: 1 },
  { prefix: 'TRF', class: 'transfer', category: '6012', name: 'Transfer link', count: 4, each: 4 },
]

/** Cards worth showing: three plain ones, then what a card may run into. */
export const demoCards: readonly DemoCard[] = [1, 2, 3, ...Object.keys(SPECIAL).map(Number)].map(demoCard)

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
