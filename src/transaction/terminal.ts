/** A registered terminal (DE 41) and its merchant (DE 42), as the programme knows them. */
export interface Terminal {
  readonly id: number
  readonly terminalId: string
  /** pos, grocer, bakery, clinic, atm, post-office, government, transfer: what the routes of the programme name. */
  readonly class: string
  readonly state: string
  /** It takes the price of subsidised goods from the card's cash purse; else it is paid in coins. */
  readonly wallet: boolean
  /** It may approve bread and goods by itself while it has no connection, and advise of it afterwards. */
  readonly offline: boolean
  readonly merchant: Merchant
}

export interface Merchant {
  readonly id: number
  /** DE 42. */
  readonly acceptorId: string
  /** ISO 18245. */
  readonly category: string
  readonly state: string
  /** Number of its governorate; 0: it is everywhere. */
  readonly governorate: number
}
