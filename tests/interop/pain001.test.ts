/**
 * Payment files against the schema of ISO 20022 itself, pain.001.001.09, as libxml2 judges it. The schema is not ours to keep: it is taken from the Python package sepaxml where the
 * tests run, into a temporary folder.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { validateXML } from 'xmllint-wasm'
import { pain001, type Payment, type PaymentMessage } from '../../src/settlement/pain001.ts'
import { temporaryDirectory } from '../support/stack.ts'

const PACKAGE = 'sepaxml==2.7.0'
const SCHEMA = 'sepaxml/schemas/pain.001.001.09.xsd'
const FETCH_MS = 60_000
/** Nobody answered, or only to say no; pip itself may be missing. */
const UNREACHABLE = /no module named pip|no matching distribution|could not find a version|connection|timed out|ENOENT/i

const fetched = fetchSchema()
const leftOut = 'leftOut' in fetched ? ` (left out: ${fetched.leftOut})` : ''

function fetchSchema(): { readonly schema: string } | { readonly leftOut: string } {
  const directory = temporaryDirectory()
  const python = (...args: string[]): string => {
    const { status, stderr, error } = spawnSync('python3', args, { encoding: 'utf8', timeout: FETCH_MS })
    return status === 0 ? '' : `${stderr} ${error?.message ?? ''}`.trim()
  }
  const pip = ['-m', 'pip', 'download', '--no-deps', '--no-input', '--quiet', '--disable-pip-version-check']
  const wrong = python(...pip, '--dest', directory, PACKAGE)
  if (UNREACHABLE.test(wrong)) {
    process.stderr.write('the schema check of payment files is left out: sepaxml cannot be fetched\n')
    return { leftOut: 'sepaxml cannot be fetched' }
  }
  if (wrong !== '') throw new Error(`pip cannot fetch ${PACKAGE}: ${wrong}`)
  const wheel = readdirSync(directory).find((name) => name.endsWith('.whl')) ?? ''
  const unpacked = python('-m', 'zipfile', '-e', join(directory, wheel), directory)
  if (unpacked !== '') throw new Error(`${wheel} cannot be unpacked: ${unpacked}`)
  return { schema: readFileSync(join(directory, SCHEMA), 'utf8') }
}

const MESSAGE: PaymentMessage = {
  messageId: 'SARF-99999999999999-20261203090000',
  createdAtMs: Date.parse('2026-12-03T09:00:00.250Z'),
  executionDay: '2026-12-03',
  debtor: { name: 'هيئة البريد & Co. <"1">', iban: 'EG310003000100000000000000017', bic: 'NPOSEGCAXXX' },
  count: 3,
  sum: 123_456_789_012_345 + 1 + 52_500,
}
const PAYMENT: Payment = {
  endToEndId: 'SARF-12-20261203090000-70000',
  amount: 52_500,
  iban: 'EG380019000500000000263180002',
  bic: null,
  holderName: 'مخبز الميناء & شركاه <1> "2" \'3\'',
  acceptorId: 'PORTSAID0000042',
  untilDay: '2026-12-02',
}
const PAYMENTS = [
  PAYMENT,
  { ...PAYMENT, endToEndId: 'A'.repeat(35), amount: 1, bic: 'NBEGEGCX', holderName: 'م'.repeat(140) },
  { ...PAYMENT, endToEndId: 'x', amount: 123_456_789_012_345, bic: 'NBEGEGCX331', holderName: '🥖'.repeat(140) },
]

async function fileOf(message: PaymentMessage, payments: readonly Payment[]): Promise<string> {
  const each = (async function* () {
    for (const payment of payments) yield await Promise.resolve([payment])
  })()
  let xml = ''
  for await (const chunk of pain001(message, each)) xml += chunk
  return xml
}

describe.skipIf(leftOut !== '')(`a payment file and the schema of pain.001.001.09${leftOut}`, () => {
  const complaintsOf = async (xml: string): Promise<string[]> => {
    const schema = 'schema' in fetched ? fetched.schema : ''
    const { valid, errors } = await validateXML({ xml: [{ fileName: 'file.xml', contents: xml }], schema: [schema] })
    return valid ? [] : errors.map(({ message }) => message)
  }

  it('agree, whatever names and amounts are in it', async () => {
    expect(await complaintsOf(await fileOf(MESSAGE, PAYMENTS))).toEqual([])
    const without = { ...MESSAGE, debtor: { ...MESSAGE.debtor, bic: null }, count: 1, sum: 52_500 }
    expect(await complaintsOf(await fileOf(without, [PAYMENT]))).toEqual([])
  })

  it.each([
    ['an IBAN that is none', { iban: 'EG38-0019' }, /IBAN/],
    ['a name that is too long', { holderName: 'x'.repeat(141) }, /Nm/],
    ['no EndToEndId', { endToEndId: '' }, /EndToEndId/],
  ])('would not agree on %s', async (_, wrong, complaint) => {
    const xml = await fileOf({ ...MESSAGE, count: 1, sum: 52_500 }, [{ ...PAYMENT, ...wrong }])
    expect((await complaintsOf(xml)).join(' ')).toMatch(complaint)
  })
})
