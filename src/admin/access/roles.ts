/**
 * Who may do what. Everything that is not here is denied: a route without a permission is not registered, a role that is not listed for it gets 403.
 */

/** What people do, and three kinds of systems: the government portal, an acquirer that sends transactions over HTTP, and who prints and delivers. */
export const ROLES = [
  'post-clerk',
  'supply-officer',
  'health-officer',
  'hotline-agent',
  'auditor',
  'operator',
  'administrator',
  'portal',
  'acquirer',
  'card-bureau',
  /** Closes business days, pays merchants, matches the bank's statements, decides disputes. */
  'settlement-officer',
] as const
export type Role = (typeof ROLES)[number]

/** Roles by permission. */
export const PERMISSIONS = {
  /** Transactions over HTTP: `POST /v1/authorizations`, `POST /iso8583`. */
  'transaction:send': ['acquirer', 'operator'],
  'household:read': ['post-clerk', 'supply-officer', 'health-officer', 'hotline-agent', 'auditor', 'administrator'],
  'household:write': ['supply-officer', 'administrator'],
  'person:find': ['post-clerk', 'supply-officer', 'health-officer', 'hotline-agent', 'auditor', 'administrator', 'portal'],
  'person:mobile': ['post-clerk', 'administrator'],
  'person:preferences': ['post-clerk', 'hotline-agent', 'portal', 'administrator'],
  'cover:write': ['health-officer', 'administrator'],
  'card:read': ['post-clerk', 'supply-officer', 'health-officer', 'hotline-agent', 'auditor', 'administrator', 'portal'],
  'card:order': ['administrator'],
  'card:print': ['card-bureau', 'administrator'],
  'card:withdraw': ['administrator'],
  'card:report': ['post-clerk', 'hotline-agent', 'administrator', 'portal'],
  /** Published rule 9: by post staff, also where they work at another office. */
  'card:handover': ['post-clerk'],
  'card:pin': ['post-clerk'],
  'card:reverify': ['post-clerk', 'health-officer'],
  'card:replace': ['post-clerk', 'portal'],
  'card:fee': ['post-clerk'],
  'death:record': ['post-clerk', 'administrator'],
  'collection:read': ['post-clerk', 'supply-officer', 'health-officer', 'hotline-agent', 'auditor', 'administrator', 'portal'],
  'balance:read': ['post-clerk', 'supply-officer', 'hotline-agent', 'auditor', 'administrator'],
  'statement:read': ['post-clerk', 'supply-officer', 'auditor', 'administrator'],
  'place:read': ROLES,
  'place:write': ['administrator'],
  'region:read': ROLES,
  'region:write': ['administrator'],
  'merchant:read': ['supply-officer', 'health-officer', 'auditor', 'operator', 'administrator', 'settlement-officer'],
  'merchant:write': ['operator', 'administrator'],
  'programme:read': ['supply-officer', 'health-officer', 'auditor', 'operator', 'administrator'],
  'programme:write': ['administrator'],
  'entitlement:adjust': ['supply-officer'],
  /** Loading a key: one proposes, another agrees. */
  'key:load': ['operator', 'administrator'],
  'key:read': ['auditor', 'operator', 'administrator'],
  'proposal:read': [
    'post-clerk',
    'supply-officer',
    'health-officer',
    'auditor',
    'operator',
    'administrator',
    'settlement-officer',
  ],
  /** Which proposals somebody may agree to besides says the permission of its kind. */
  'proposal:decide': ['post-clerk', 'supply-officer', 'health-officer', 'operator', 'administrator', 'settlement-officer'],
  'notice:read': ['hotline-agent', 'auditor', 'operator', 'administrator'],
  'notice:retry': ['operator'],
  'event:read': ['auditor', 'operator', 'administrator'],
  'webhook:write': ['operator', 'administrator'],
  'audit:read': ['auditor'],
  'dispute:open': ['post-clerk', 'hotline-agent'],
  'dispute:read': ['post-clerk', 'hotline-agent', 'auditor', 'administrator', 'settlement-officer'],
  /** One proposes how a case ends, another agrees. */
  'dispute:decide': ['settlement-officer'],
  'book:read': ['auditor', 'administrator', 'settlement-officer'],
  'day:read': ['auditor', 'operator', 'administrator', 'settlement-officer'],
  'day:close': ['operator', 'settlement-officer'],
  'bank:read': ['auditor', 'administrator', 'settlement-officer'],
  'bank:import': ['settlement-officer'],
  'bank:match': ['settlement-officer'],
  'claim:read': ['auditor', 'administrator', 'settlement-officer'],
  'atm:read': ['auditor', 'operator', 'administrator', 'settlement-officer'],
  'atm:write': ['settlement-officer'],
  'suspense:read': ['auditor', 'administrator', 'settlement-officer'],
  'suspense:assign': ['settlement-officer'],
  'suspense:resolve': ['settlement-officer'],
  /** What outlets have earned and were paid; the runs that pay them and their files for the bank. */
  'payout:read': ['auditor', 'administrator', 'settlement-officer'],
  'payout:prepare': ['settlement-officer'],
  'payout:approve': ['settlement-officer'],
  'merchant:hold': ['settlement-officer', 'administrator'],
  /** Where a merchant is paid to: the whole IBAN; one proposes an account, another agrees. */
  'merchant-account:read': ['auditor', 'settlement-officer'],
  'merchant-account:write': ['operator', 'administrator', 'settlement-officer'],
  'merchant-account:approve': ['settlement-officer'],
} as const satisfies Record<string, readonly Role[]>
export type Permission = keyof typeof PERMISSIONS

export function mayDo(roles: readonly string[], permission: Permission): boolean {
  return PERMISSIONS[permission].some((role) => roles.includes(role))
}
