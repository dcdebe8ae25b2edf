/** The registry as an operator sees and changes it: one terminal with its merchant, states and bindings. */
import type { MerchantState, TerminalState } from '../transaction/terminal.ts'
import type { LedgerConnection, Statement } from './connection.ts'

export interface Registration {
  readonly terminalId: string
  readonly class: string
  readonly state: TerminalState
  /** Its own; where it is null its merchant's counts. */
  readonly certificate: string | null
  readonly link: string | null
  readonly macKey: string | null
  readonly acceptorId: string
  readonly merchantName: string
  readonly merchantState: MerchantState
  readonly merchantCertificate: string | null
}

/** What is absent stays; null binds to nothing any more. */
export interface TerminalChange {
  readonly state?: TerminalState
  readonly certificate?: string | null
  readonly link?: string | null
  readonly macKey?: string | null
}

export interface MerchantChange {
  readonly state?: MerchantState
  readonly certificate?: string | null
}

const READ_REGISTRATION: Statement = {
  name: 'read_registration',
  text: `
    SELECT t.terminal_id AS "terminalId", t.class, t.state, t.certificate, t.link, t.mac_key AS "macKey", m.acceptor_id AS "acceptorId",
      m.name AS "merchantName", m.state AS "merchantState", m.certificate AS "merchantCertificate"
    FROM terminal t JOIN merchant m ON m.id = t.merchant_id
    WHERE t.terminal_id = $1`,
}

// A state that is for good is not left: the condition is in the statement, so that of two operators at once both are held to it.
const CHANGE_TERMINAL: Statement = {
  name: 'change_terminal',
  text: `
    UPDATE terminal SET
      state = coalesce($2, state),
      certificate = CASE WHEN $3::boolean THEN $4 ELSE certificate END,
      link = CASE WHEN $5::boolean THEN $6 ELSE link END,
      mac_key = CASE WHEN $7::boolean THEN $8 ELSE mac_key END,
      version = version + 1
    WHERE terminal_id = $1 AND (state <> 'RETIRED' OR coalesce($2, state) = 'RETIRED')
    RETURNING id`,
}

const CHANGE_MERCHANT: Statement = {
  name: 'change_merchant',
  text: `
    UPDATE merchant SET
      state = coalesce($2, state),
      certificate = CASE WHEN $3::boolean THEN $4 ELSE certificate END,
      version = version + 1
    WHERE acceptor_id = $1 AND (state <> 'CLOSED' OR coalesce($2, state) = 'CLOSED')
    RETURNING id`,
}

/** @returns undefined where there is no such terminal */
export async function readRegistration(connection: LedgerConnection, terminalId: string): Promise<Registration | undefined> {
  const { rows } = await connection.run<Registration & Record<string, unknown>>(READ_REGISTRATION, [terminalId])
  return rows[0]
}

/** Every process of the switch follows within `registry.freshMs`. @returns false where there is no such terminal, or it is retired for good */
export async function changeTerminal(
  connection: LedgerConnection,
  terminalId: string,
  { state, certificate, link, macKey }: TerminalChange,
): Promise<boolean> {
  const values = [certificate, link, macKey].flatMap((value) => [value !== undefined, value ?? null])
  return (await connection.run(CHANGE_TERMINAL, [terminalId, state ?? null, ...values])).rows.length > 0
}

/** The same for a merchant, by DE 42. */
export async function changeMerchant(
  connection: LedgerConnection,
  acceptorId: string,
  { state, certificate }: MerchantChange,
): Promise<boolean> {
  const values = [acceptorId, state ?? null, certificate !== undefined, certificate ?? null]
  return (await connection.run(CHANGE_MERCHANT, values)).rows.length > 0
}
