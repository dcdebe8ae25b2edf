/** A registered terminal (DE 41) and its merchant (DE 42), as the programme knows them. */
export interface Terminal {
  readonly id: number
  readonly terminalId: string
  /** pos, grocer, bakery, clinic, atm, post-office, government or transfer. */
  readonly class: string
  readonly state: string
  readonly merchant: Merchant
}

export interface Merchant {
  readonly id: number
  /** DE 42. */
  readonly acceptorId: string
  /** ISO 18245. */
  readonly category: string
  readonly state: string
}
