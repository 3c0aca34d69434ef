/** An issuer: a real HTTP server on this machine that publishes the keys it signs with. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, type JWK } from "jose";
import { whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";

export interface IssuerKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: JWK;
}

export async function makeKey(kid: string): Promise<IssuerKey> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: "EdDSA", use: "sig" } };
}

export class KeyServer {
  readonly url: string;
  /** What it publishes. */
  keys: readonly IssuerKey[] = [];
  /** Answers so instead, while it is set. */
  broken: { readonly status: number; readonly body: string } | undefined;
  readonly requests: Collected<void> = new Collected();
  /** Holds back its answers until it resolves. */
  gate: Promise<void> = Promise.resolve();

  private constructor(url: string) {
    this.url = url;
  }

  static async start(): Promise<KeyServer> {
    const server = createServer((_request, response) => {
      const { broken, keys, gate } = issuer;
      issuer.requests.add();
      const body = broken?.body ?? JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
      void gate.then(() => response.writeHead(broken?.status ?? 200, { "content-type": "application/json" }).end(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    whenDone(() => {
      server.closeAllConnections();
      server.close();
    });
    const issuer = new KeyServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys?tenant=secret`);
    return issuer;
  }
}
