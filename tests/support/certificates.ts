/** Certificates for tests, made when they are needed with the `openssl` command. */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificates } from '../../src/config.ts'

export interface TestCertificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: Buffer
  readonly key: Buffer
  /** As the registry has it: upper case, no colons. */
  readonly fingerprint: string
}

export interface TestAuthority extends TestCertificate {
  /** @param usage what the certificate may be used for; @param days 0: it has expired */
  issue(name: string, usage?: 'clientAuth' | 'serverAuth', days?: number): TestCertificate
}

/** Name and subject are the same for all, so that nothing but the signature tells two authorities apart. */
const AUTHORITY = '/CN=Acquirers of the test'
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

let count = 0

/** A CA in `directory`. */
export function makeAuthority(directory: string): TestAuthority {
  const own = files(directory, 'ca')
  const ca = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  openssl('req', '-x509', ...EC, '-keyout', own.keyFile, '-out', own.certFile, '-subj', AUTHORITY, '-days', '30', ...ca)
  return {
    ...read(own),
    issue(name, usage = 'clientAuth', days = 30) {
      const issued = files(directory, name)
      const request = `${issued.certFile}.csr`
      const extensions = `${issued.certFile}.ext`
      writeFileSync(
        extensions,
        `basicConstraints=CA:FALSE\nextendedKeyUsage=${usage}\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n`,
      )
      openssl('req', '-new', ...EC, '-keyout', issued.keyFile, '-out', request, '-subj', `/CN=${name}`)
      const signed = [
        '-CA',
        own.certFile,
        '-CAkey',
        own.keyFile,
        '-CAcreateserial',
        '-extfile',
        extensions,
        '-days',
        String(days),
      ]
      openssl('x509', '-req', '-in', request, '-out', issued.certFile, ...signed)
      return read(issued)
    },
  }
}

/** What a link is given. */
export function certificatesOf(own: TestCertificate, clientCa: TestCertificate): Certificates {
  return { cert: own.cert, key: own.key, clientCa: clientCa.cert }
}

function files(directory: string, name: string): { certFile: string; keyFile: string } {
  const path = join(directory, `${name}-${String(++count)}`)
  return { certFile: `${path}.pem`, keyFile: `${path}.key` }
}

function read({ certFile, keyFile }: { certFile: string; keyFile: string }): TestCertificate {
  const cert = readFileSync(certFile)
  const fingerprint = new X509Certificate(cert).fingerprint256.replaceAll(':', '')
  return { certFile, keyFile, cert, key: readFileSync(keyFile), fingerprint }
}

/** @throws Error that says what is missing */
function openssl(...args: string[]): void {
  try {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new Error('these tests make certificates with the openssl command; install openssl', { cause: error })
    throw error
  }
}
