/** The chart of accounts: a code and its owner. What each is for is written in spec/ledger.md. */
export interface Account {
  readonly code: number
  /** Purse, merchant or terminal id; 0 for accounts that there is only one of. */
  readonly owner: number
}

export const ACCOUNT_CODE = {
  bank: 1000,
  atmCash: 1010,
  cashAvailable: 2000,
  cashHeld: 2001,
  governmentPayee: 2215,
  merchant: 2220,
  deferredFees: 2300,
  suspense: 2900,
  feeIncome: 4000,
  entitlementsIssued: 9000,
  entitlementsRedeemed: 9001,
} as const

export const bank: Account = { code: ACCOUNT_CODE.bank, owner: 0 }
/** Fees that were paid for cards that are not handed over yet; and those that are earned. */
export const deferredFees: Account = { code: ACCOUNT_CODE.deferredFees, owner: 0 }
export const feeIncome: Account = { code: ACCOUNT_CODE.feeIncome, owner: 0 }

export const entitlementsIssued: Account = { code: ACCOUNT_CODE.entitlementsIssued, owner: 0 }
export const suspense: Account = { code: ACCOUNT_CODE.suspense, owner: 0 }

export const entitlementsRedeemed: Account = { code: ACCOUNT_CODE.entitlementsRedeemed, owner: 0 }

/** An account of the programme itself: the treasury, the health fund. */
export function programmeAccount(code: number): Account {
  return { code, owner: 0 }
}

/** What an outlet is owed for what it hands out on somebody's behalf. */
export function outletAccount(code: number, merchantId: number): Account {
  return { code, owner: merchantId }
}

/** What of a purse can be spent, whatever its kind. */
export function purseAccount(code: number, purseId: number): Account {
  return { code, owner: purseId }
}

export function atmCash(terminalId: number): Account {
  return { code: ACCOUNT_CODE.atmCash, owner: terminalId }
}

/** What of a purse can be spent. */
export function cashAvailable(purseId: number): Account {
  return { code: ACCOUNT_CODE.cashAvailable, owner: purseId }
}

/** What authorizations have set aside of a purse. */
export function cashHeld(purseId: number): Account {
  return { code: ACCOUNT_CODE.cashHeld, owner: purseId }
}

export function governmentPayee(merchantId: number): Account {
  return { code: ACCOUNT_CODE.governmentPayee, owner: merchantId }
}

export function merchantAccount(merchantId: number): Account {
  return { code: ACCOUNT_CODE.merchant, owner: merchantId }
}
