/** What is kept of a person is sealed and opened here. */
import type { SealedPerson } from '../ledger/programme/persons.ts'
import { assert } from '../assert.ts'
import { Mobile, mobileToken, NationalId, type PersonalData } from '../personalData.ts'
import type { DataVault } from '../security/dataVault.ts'

export interface PersonSealing {
  readonly vault: DataVault
  readonly lookupKey: Uint8Array
}

/** Both values with the present key: `key_id` is that of the row. */
export function sealPerson(
  { vault, lookupKey }: PersonSealing,
  { shard, personId }: { readonly shard: number; readonly personId: number },
  { nationalId, mobile }: PersonalData,
): SealedPerson {
  const place = { shard, owner: personId }
  return {
    keyId: vault.keyId,
    nationalId: vault.seal({ ...place, field: 'national-id' }, nationalId.reveal()),
    mobile: mobile === null ? null : vault.seal({ ...place, field: 'mobile' }, mobile.reveal()),
    mobileToken: mobile === null ? null : mobileToken(mobile, lookupKey),
  }
}

/** @throws DataUnreadable where somebody changed what is stored */
export function openPerson(
  vault: DataVault,
  { shard, personId }: { readonly shard: number; readonly personId: number },
  { keyId, nationalId, mobile }: SealedPerson,
): PersonalData {
  const place = { shard, owner: personId }
  const opened = NationalId.parse(vault.unseal(keyId, { ...place, field: 'national-id' }, nationalId))
  assert(opened !== undefined, 'what was sealed as a national ID is one')
  if (mobile === null) return { nationalId: opened, mobile: null }
  const number = Mobile.parse(vault.unseal(keyId, { ...place, field: 'mobile' }, mobile))
  assert(number !== undefined, 'what was sealed as a mobile is one')
  return { nationalId: opened, mobile: number }
}
