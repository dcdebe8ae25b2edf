/** Files of bank statements, made up for tests. */

export const ACCOUNT = 'EG380019000500000000263180002'

export interface FileEntry {
  /** In major units; what goes out begins with a minus. */
  readonly amount: string
  readonly day?: string
  readonly endToEndId?: string
  readonly text?: string
  readonly returnReason?: string
  readonly status?: string
  /** Payments in it, each with its amount. */
  readonly details?: readonly { readonly amount: string; readonly endToEndId: string }[]
}

export interface FileStatement {
  readonly id: string
  readonly account?: string
  readonly day?: string
  readonly opening?: string
  /** Absent: what opening and entries come to. */
  readonly closing?: string
  readonly entries?: readonly FileEntry[]
  /** Inside TxsSummry. */
  readonly summary?: string
  readonly version?: number
}

function piasters(text: string): number {
  return Math.round(Number(text) * 100)
}

function unsigned(text: string): string {
  return text.replace(/^-/, '')
}

function direction(text: string): string {
  return text.startsWith('-') ? 'DBIT' : 'CRDT'
}

export function closingOf({ opening = '0.00', entries = [] }: FileStatement): string {
  return (entries.reduce((sum, { amount }) => sum + piasters(amount), piasters(opening)) / 100).toFixed(2)
}

/** A file of camt.053. @param header inside GrpHdr */
export function camt(statements: readonly FileStatement[], header = '<MsgId>M1</MsgId>'): string {
  const version = statements[0]?.version ?? 8
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.0${String(version)}"><BkToCstmrStmt><GrpHdr>${header}</GrpHdr>\n` +
    `${statements.map((statement) => statementXml(statement, version)).join('\n')}</BkToCstmrStmt></Document>\n`
  )
}

function statementXml(statement: FileStatement, version: number): string {
  const {
    id,
    account = ACCOUNT,
    day = '2026-12-01',
    opening = '0.00',
    closing = closingOf(statement),
    entries = [],
    summary,
  } = statement
  const balance = (code: string, amount: string): string =>
    `<Bal><Tp><CdOrPrtry><Cd>${code}</Cd></CdOrPrtry></Tp><Amt Ccy="EGP">${unsigned(amount)}</Amt><CdtDbtInd>${direction(amount)}</CdtDbtInd><Dt><Dt>${day}</Dt></Dt></Bal>`
  return [
    `<Stmt><Id>${id}</Id><Acct><Id><IBAN>${account}</IBAN></Id><Ccy>EGP</Ccy></Acct>`,
    balance('OPBD', opening),
    balance('CLBD', closing),
    ...(summary === undefined ? [] : [`<TxsSummry>${summary}</TxsSummry>`]),
    ...entries.map((entry) => entryXml({ day, ...entry }, version)),
    '</Stmt>',
  ].join('\n')
}

function entryXml(entry: FileEntry & { readonly day: string }, version: number): string {
  const { amount, day, endToEndId, text, returnReason, status = 'BOOK', details } = entry
  const sts = version === 8 ? `<Sts><Cd>${status}</Cd></Sts>` : `<Sts>${status}</Sts>`
  const detail =
    details === undefined
      ? detailXml(`<Refs><EndToEndId>${endToEndId ?? 'NOTPROVIDED'}</EndToEndId></Refs>`, text, returnReason)
      : details
          .map((one) => {
            const amountXml =
              version === 2
                ? `<AmtDtls><TxAmt><Amt Ccy="EGP">${one.amount}</Amt></TxAmt></AmtDtls>`
                : `<Amt Ccy="EGP">${one.amount}</Amt>`
            return detailXml(`<Refs><EndToEndId>${one.endToEndId}</EndToEndId></Refs>${amountXml}`, text, returnReason)
          })
          .join('')
  return (
    `<Ntry><Amt Ccy="EGP">${unsigned(amount)}</Amt><CdtDbtInd>${direction(amount)}</CdtDbtInd>${sts}<BookgDt><Dt>${day}</Dt></BookgDt>` +
    `<ValDt><Dt>${day}</Dt></ValDt><AcctSvcrRef>B1</AcctSvcrRef><NtryDtls>${detail}</NtryDtls></Ntry>`
  )
}

function detailXml(inside: string, text = '', returnReason = ''): string {
  const remittance = text === '' ? '' : `<RmtInf><Ustrd>${text}</Ustrd></RmtInf>`
  const back = returnReason === '' ? '' : `<RtrInf><Rsn><Cd>${returnReason}</Cd></Rsn></RtrInf>`
  return `<TxDtls>${inside}${remittance}${back}</TxDtls>`
}

const COLUMNS =
  'record,account,statement_id,date,value_date,amount,currency,entries,reference,bank_reference,counterparty,text,return_reason'

/** The same as CSV. */
export function csv(statement: FileStatement): string {
  const { id, account = ACCOUNT, day = '2026-12-01', opening = '0.00', closing = closingOf(statement), entries = [] } = statement
  const row = (record: string, amount: string, count = '', reference = '', text = '', back = ''): string =>
    `${record},${account},${id},${day},${record === 'entry' ? day : ''},${amount},EGP,${count},${reference},,,"${text}",${back}`
  return [
    COLUMNS,
    row('opening', opening),
    ...entries.map(({ amount, endToEndId = '', text = '', returnReason = '' }) =>
      row('entry', amount, '', endToEndId, text, returnReason),
    ),
    row('closing', closing, String(entries.length)),
    '',
  ].join('\r\n')
}
