import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.StringJoiner;
import org.jpos.iso.BaseChannel;
import org.jpos.iso.ISOBasePackager;
import org.jpos.iso.ISOBinaryFieldPackager;
import org.jpos.iso.ISOException;
import org.jpos.iso.ISOMsg;
import org.jpos.iso.ISOUtil;
import org.jpos.iso.channel.ASCIIChannel;
import org.jpos.iso.channel.NACChannel;
import org.jpos.iso.channel.PostChannel;
import org.jpos.iso.packager.ISO87APackager;
import org.jpos.iso.packager.ISO87BPackager;
import org.jpos.iso.packager.PostPackager;

/**
 * A client made of jPOS as it ships. Standard input has one message a line: the MTI, then number=value for each field,
 * all separated by tabs; hex:... is a value in bytes. A message is sent when its line is read. An empty line asks for
 * the answers to all that were sent since the last one: one line of JSON each, in the order in which they come.
 *
 * Arguments: NAC, ASCII or POST; host; port.
 */
public final class Client {
    /** The network addresses of a NAC: to 0001, from 0002. */
    private static final byte[] TPDU = ISOUtil.hex2byte("6000010002");
    private static final int ANSWER_TIMEOUT_MS = 30_000;

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BaseChannel channel = channel(args[0], args[1], Integer.parseInt(args[2]));
        channel.setTimeout(ANSWER_TIMEOUT_MS);
        channel.connect();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        int unanswered = 0;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (!line.isEmpty()) {
                channel.send(message((ISOBasePackager) channel.getPackager(), line));
                unanswered++;
            } else {
                for (; unanswered > 0; unanswered--) out.println(json(channel.receive()));
            }
        }
        channel.disconnect();
    }

    private static BaseChannel channel(String name, String host, int port) {
        switch (name) {
            case "NAC":
                return new NACChannel(host, port, new ISO87BPackager(), TPDU);
            case "ASCII":
                return new ASCIIChannel(host, port, new ISO87APackager());
            case "POST":
                return new PostChannel(host, port, new PostPackager());
            default:
                throw new IllegalArgumentException("no channel " + name);
        }
    }

    private static ISOMsg message(ISOBasePackager packager, String line) throws ISOException {
        String[] parts = line.split("\t");
        ISOMsg message = new ISOMsg(parts[0]);
        for (int i = 1; i < parts.length; i++) {
            String[] field = parts[i].split("=", 2);
            int number = Integer.parseInt(field[0]);
            if (!field[1].startsWith("hex:")) {
                message.set(number, field[1]);
                continue;
            }
            byte[] bytes = ISOUtil.hex2byte(field[1].substring(4));
            // jPOS keeps the bytes of a character field as characters.
            if (packager.getFieldPackager(number) instanceof ISOBinaryFieldPackager) message.set(number, bytes);
            else message.set(number, new String(bytes, StandardCharsets.ISO_8859_1));
        }
        return message;
    }

    private static String json(ISOMsg message) throws ISOException {
        StringJoiner fields = new StringJoiner(",", "{", "}");
        for (int number = 2; number <= message.getMaxField(); number++) {
            if (message.hasField(number)) fields.add(quoted(Integer.toString(number)) + ":" + quoted(text(message, number)));
        }
        String header = message.getHeader() == null ? "" : ISOUtil.hexString(message.getHeader());
        return "{\"mti\":" + quoted(message.getMTI()) + ",\"header\":" + quoted(header) + ",\"fields\":" + fields + "}";
    }

    private static String text(ISOMsg message, int number) throws ISOException {
        return message.getValue(number) instanceof byte[] ? ISOUtil.hexString(message.getBytes(number)) : message.getString(number);
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char character : text.toCharArray()) {
            if (character == '"' || character == '\\' || character < ' ') quoted.append(String.format("\\u%04x", (int) character));
            else quoted.append(character);
        }
        return quoted.append('"').toString();
    }
}
