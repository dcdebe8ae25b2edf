/**
 * TLS in front of a link: TCP connections in, authenticated ones out. TLS 1.2 or later, a client certificate from a CA of the link, or nothing.
 *
 * No session is resumed: a resumed one would let a client in on what was checked before, also after its CA was taken away, and links are long.
 * No renegotiation (TLS 1.2), which lets a client make the switch sign over and over. One certificate, one CA file, no names: which terminals
 * a certificate stands for is the registry's to say (src/transaction/origin.ts).
 */
import { constants, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls'
import type { Certificates } from '../config.ts'
import type { LinkConfig, TransportLimits } from '../settings.ts'
import type { Peer } from './exchange.ts'
import type { Logger } from './logger.ts'
import type { TransportMetrics } from './metrics.ts'

export interface HandshakesOptions {
  readonly link: LinkConfig
  readonly limits: TransportLimits
  readonly certificates: Certificates
  readonly log: Logger
  readonly metrics?: TransportMetrics
  readonly onPeer: (socket: Socket, peer: Peer) => void
}

/** Forward secrecy and authenticated encryption only (RFC 9325 section 4.2). */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')
/** Failures that are remembered as logged. */
const LOGGED_MAX = 1000

export class Handshakes {
  readonly #options: HandshakesOptions
  readonly #server: Server
  /** By `address:port` of the peer. */
  readonly #underWay = new Map<string, Socket>()
  /** `address code` of what was logged: who fails tries again and again. */
  readonly #logged = new Set<string>()

  constructor(options: HandshakesOptions) {
    const { link, limits, certificates } = options
    this.#options = options
    // It never listens: connections are handed to it. What no CA of the link has signed is refused by `#done`; told to refuse it by itself,
    // node:tls would destroy the connection before anybody could say in the log whose it was.
    this.#server = createServer({
      ...secureContext(link, certificates),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMs,
    })
    this.#server.on('secureConnection', (socket) => {
      this.#done(socket)
    })
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      this.#failed(socket, error.code ?? error.name)
    })
  }

  /** Takes a TCP connection over: it is handed on, or destroyed within the time that a handshake may take. */
  begin(socket: Socket): void {
    const name = nameOf(socket)
    this.#underWay.set(name, socket)
    socket.on('close', () => {
      if (this.#underWay.get(name) === socket) this.#underWay.delete(name)
    })
    // Whoever ends its side before the handshake is over has gone; afterwards it may still wait for answers (see `#done`).
    socket.allowHalfOpen = false
    // What node:tls documents for connections that were accepted elsewhere.
    this.#server.emit('connection', socket)
  }

  /** Handshakes from now on are made with these. */
  renew(certificates: Certificates): void {
    this.#server.setSecureContext(secureContext(this.#options.link, certificates))
  }

  /** Drops the handshakes that are under way. */
  stop(): void {
    for (const socket of this.#underWay.values()) socket.destroy()
  }

  #done(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) {
      this.#failed(socket, NO_CERTIFICATE)
    } else if (!socket.authorized) {
      this.#failed(socket, authorizationError(socket))
    } else {
      this.#underWay.delete(nameOf(socket))
      socket.allowHalfOpen = true
      this.#options.onPeer(socket, { certificate: certificateOf(certificate) })
    }
  }

  #failed(socket: TLSSocket, code: string): void {
    const { link, log, metrics } = this.#options
    metrics?.handshakeFailed()
    const { remoteAddress } = socket
    socket.on('error', () => undefined)
    socket.destroy()
    const fields = { link: link.name, reason: code, ...(remoteAddress === undefined ? {} : { remote: remoteAddress }) }
    const entry = `${remoteAddress ?? ''} ${code}`
    // Whoever only looks whether the port is open, or went away, has done nothing wrong.
    if (code === 'ECONNRESET' || this.#logged.has(entry)) {
      log.debug(fields, 'TLS handshake failed')
      return
    }
    if (this.#logged.size >= LOGGED_MAX) this.#logged.clear()
    this.#logged.add(entry)
    log.warn(fields, `TLS handshake failed: ${adviceFor(code, link)}`)
  }
}

const NO_CERTIFICATE = 'no-certificate'

function secureContext(link: LinkConfig, { cert, key, clientCa }: Certificates): SecureContextOptions {
  return {
    cert,
    key,
    ca: clientCa,
    minVersion: link.tls?.minVersion ?? 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  }
}

/** What an operator is to do, in one line. */
function adviceFor(code: string, { tls }: LinkConfig): string {
  switch (code) {
    case NO_CERTIFICATE:
      return `the client showed no certificate; give it one that a CA in ${tls?.clientCaFile ?? 'clientCaFile'} has signed`
    case 'CERT_HAS_EXPIRED':
      return "the client's certificate has expired; give it a new one and bind its terminals to that"
    case 'INVALID_PURPOSE':
      return "the client's certificate is not for clients; make one with extendedKeyUsage clientAuth"
    case 'ERR_TLS_HANDSHAKE_TIMEOUT':
      return 'the client did not finish it in time; if it speaks plain TCP, let it speak TLS'
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
      return `the client offers no version from ${tls?.minVersion ?? 'TLSv1.2'} on; renew its software`
    case 'ERR_SSL_NO_SHARED_CIPHER':
      return 'the client offers no cipher suite with forward secrecy and authenticated encryption; renew its software'
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_HTTP_REQUEST':
      return 'what the client sent is not TLS; let it speak TLS, or use a link that is plain'
    default:
      return code.startsWith('ERR_SSL_')
        ? 'the client broke it off or broke its rules; does it trust the certificate of this link?'
        : `the client's certificate was not signed by a CA in ${tls?.clientCaFile ?? 'clientCaFile'}`
  }
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? '?'}:${String(remotePort ?? 0)}`
}

/** Typed as an Error, it is the verification's code (`X509_V_ERR_...` without the prefix). */
function authorizationError(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError
  return typeof error === 'string' ? error : 'unauthorized'
}

function certificateOf({ fingerprint256, subject }: X509Certificate): NonNullable<Peer['certificate']> {
  return { fingerprint: fingerprint256.replaceAll(':', ''), commonName: /^CN=(.*)$/m.exec(subject)?.[1] }
}
