/** A registered terminal (DE 41) and its merchant (DE 42), as the programme knows them. */

/** ACTIVE: in use. SUSPENDED: refused until it is activated again. RETIRED: refused for good. The table has the same list. */
export const TERMINAL_STATES = ['ACTIVE', 'SUSPENDED', 'RETIRED'] as const
export type TerminalState = (typeof TERMINAL_STATES)[number]

/** ACTIVE, SUSPENDED: as a terminal's. CLOSED: refused for good, with all its terminals. The table has the same list. */
export const MERCHANT_STATES = ['ACTIVE', 'SUSPENDED', 'CLOSED'] as const
export type MerchantState = (typeof MERCHANT_STATES)[number]

export interface Terminal {
  readonly id: number
  readonly terminalId: string
  /** pos, grocer, bakery, clinic, atm, post-office, government, transfer: what the routes of the programme name. */
  readonly class: string
  readonly state: TerminalState
  /** It takes the price of subsidised goods from the card's cash purse; else it is paid in coins. */
  readonly wallet: boolean
  /** It may approve bread and goods by itself while it has no connection, and advise of it afterwards. */
  readonly offline: boolean
  /** SHA-256 of the client certificate that its messages must come by: its own, else its merchant's; null: any, or none. */
  readonly certificate: string | null
  /** Name of the link that its messages must come by; null: any. */
  readonly link: string | null
  /** Name of the key that its messages must be authenticated with; null: the link's. */
  readonly macKey: string | null
  readonly merchant: Merchant
}

export interface Merchant {
  readonly id: number
  /** DE 42. */
  readonly acceptorId: string
  /** ISO 18245. */
  readonly category: string
  readonly state: MerchantState
  /** Number of its governorate; 0: it is everywhere. */
  readonly governorate: number
}
