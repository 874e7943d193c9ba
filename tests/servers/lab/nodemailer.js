// Nodemailer's smtp-server with the refusals of the lab's contract. The one argument is its configuration, in JSON.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const config = JSON.parse(fs.readFileSync(process.argv[2]));
const { SMTPServer } = require(config.modules + '/smtp-server');

const refusal = (code, text) => Object.assign(new Error(text), { responseCode: code });

const handlers = {
    onMailFrom(address, session, done) {
        if (address.address.startsWith('blocked@')) return done(refusal(550, 'not you'));
        if (address.address.startsWith('tempsender@')) return done(refusal(451, 'not now'));
        done();
    },
    onRcptTo(address, session, done) {
        if (address.address.startsWith('nobody@')) return done(refusal(550, 'unknown'));
        if (address.address.startsWith('temp@')) return done(refusal(450, 'later'));
        if (session.envelope.rcptTo.length >= config.recipients) return done(refusal(452, 'too many recipients'));
        done();
    },
    onAuth(auth, session, done) {
        const right = auth.method === 'CRAM-MD5' ? auth.validatePassword(config.password)
            : auth.method === 'XOAUTH2' ? auth.accessToken === config.password : auth.password === config.password;
        if (auth.username === config.user && right) return done(null, { user: auth.username });
        done(refusal(535, 'wrong'));
    },
    onData(stream, session, done) {
        const chunks = [];
        stream.on('data', chunk => chunks.push(chunk));
        stream.on('end', () => {
            const sender = session.envelope.mailFrom.address || '';
            if (stream.sizeExceeded) return done(refusal(552, 'too large'));
            if (sender.startsWith('rejecteod@')) return done(refusal(554, 'no'));
            if (sender.startsWith('tempeod@')) return done(refusal(451, 'later'));
            const name = crypto.randomUUID();
            fs.writeFileSync(`${config.folder}/${name}.json`, JSON.stringify(session.envelope));
            fs.writeFileSync(`${config.folder}/${name}.new`, Buffer.concat(chunks));
            fs.renameSync(`${config.folder}/${name}.new`, `${config.mail}/${name}`);
            done();
        });
    },
};

const particular = {
    smtp: { authOptional: true, disabledCommands: ['STARTTLS'], allowInsecureAuth: false },
    starttls: { authOptional: true },
    tls: { authOptional: true, secure: true },
    small: { authOptional: true, size: config.limit, disabledCommands: ['STARTTLS'] },
    unsized: { authOptional: true, size: config.limit, hideSize: true, disabledCommands: ['STARTTLS'] },
    idle: { authOptional: true, socketTimeout: 1000, disabledCommands: ['STARTTLS'] },
};
for (const [door, port] of Object.entries(config.ports)) {
    const server = new SMTPServer({
        name: 'node.lab.test',
        key: fs.readFileSync(config.folder + '/key.pem'),
        cert: fs.readFileSync(config.folder + '/cert.pem'),
        size: config.largest,
        disableReverseLookup: true,
        hideDSN: false,
        authMethods: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2'],
        ...handlers,
        ...particular[door],
    });
    server.on('error', error => console.error(door, error.message));
    server.listen(port, '127.0.0.1');
}
