/*
 * Records golden messages: fills every message class of Apache Kafka with values, in every version,
 * and writes what Kafka's own serialisers make of them.
 *
 *   java -cp '<kafka>/libs/*' MessageRecorder.java <kafka>/libs <output folder>
 *
 * The classes are found by their JSON converters; their SCHEMAS say which fields a version has. Three
 * lines an entry: "name version variant", the values as JSON (Kafka's converter), the bytes in hex.
 * Variant "full" sets everything and uses no null; "sparse" (newest version only) uses null and empty
 * wherever it may and leaves tagged fields at their defaults.
 */
import java.io.File;
import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.jar.JarFile;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.MemoryRecords;

public class MessageRecorder {
    private static final String CONVERTER = "JsonConverter.class";

    private long state;
    private boolean sparse;

    /* A fixed sequence of numbers; the same in every run. */
    private long next() {
        state = state * 6364136223846793005L + 1442695040888963407L;
        return state >>> 17;
    }

    private static Method setter(Class<?> type, String field) {
        for (Method method : type.getMethods()) {
            if (method.getName().equalsIgnoreCase("set" + field.replace("_", ""))
                    && method.getParameterCount() == 1) {
                return method;
            }
        }
        throw new IllegalStateException(type + " has no setter for " + field);
    }

    private void fillField(Object struct, Field field) throws Exception {
        Method method = setter(struct.getClass(), field.name);
        boolean nullable = field.type.isNullable();
        if (sparse && nullable) {
            method.invoke(struct, new Object[] {null});
            return;
        }
        method.invoke(struct, value(method.getGenericParameterTypes()[0], field.type));
    }

    private void fill(Object struct, Schema schema) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields) {
                if (!sparse) {
                    for (Field tagged : ((TaggedFields) bound.def.type).fields().values()) {
                        fillField(struct, tagged);
                    }
                }
            } else {
                fillField(struct, bound.def);
            }
        }
    }

    private Object struct(Class<?> type, org.apache.kafka.common.protocol.types.Type schema)
            throws Exception {
        Object struct = type.getConstructor().newInstance();
        fill(struct, (Schema) schema);
        return struct;
    }

    /* Elements of a collection class of Kafka's (ImplicitLinkedHashMultiCollection of something). */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private Object collection(Class<?> type, org.apache.kafka.common.protocol.types.Type element)
            throws Exception {
        Collection out = (Collection) type.getConstructor().newInstance();
        Type parent = type.getGenericSuperclass();
        Class<?> elementType = (Class<?>) ((ParameterizedType) parent).getActualTypeArguments()[0];
        for (int i = count(); i > 0; i--) {
            out.add(struct(elementType, element));
        }
        return out;
    }

    private int count() {
        return sparse ? 0 : 1 + (int) (next() % 2);
    }

    private Object value(Type javaType, org.apache.kafka.common.protocol.types.Type wireType)
            throws Exception {
        Optional<org.apache.kafka.common.protocol.types.Type> element = wireType.arrayElementType();
        if (javaType instanceof ParameterizedType) {
            List<Object> list = new ArrayList<>();
            Type inner = ((ParameterizedType) javaType).getActualTypeArguments()[0];
            for (int i = count(); i > 0; i--) {
                list.add(value(inner, element.get()));
            }
            return list;
        }
        Class<?> type = (Class<?>) javaType;
        if (Collection.class.isAssignableFrom(type)) {
            return collection(type, element.get());
        }
        return scalar(type, wireType);
    }

    private Object scalar(Class<?> type, org.apache.kafka.common.protocol.types.Type wireType)
            throws Exception {
        long number = next();
        if (type == boolean.class || type == Boolean.class) {
            return number % 2 == 0;
        } else if (type == byte.class || type == Byte.class) {
            return (byte) number;
        } else if (type == short.class || type == Short.class) {
            return (short) number;
        } else if (type == int.class || type == Integer.class) {
            return wireType == org.apache.kafka.common.protocol.types.Type.UINT16
                ? (int) (number & 0xffff) : (int) number;
        } else if (type == long.class || type == Long.class) {
            return wireType == org.apache.kafka.common.protocol.types.Type.UNSIGNED_INT32
                ? number & 0xffffffffL : number * 65537;
        } else if (type == double.class || type == Double.class) {
            return number / 1024.0;
        } else if (type == String.class) {
            return sparse ? "" : "text-" + number % 100000;
        } else if (type == Uuid.class) {
            return sparse ? Uuid.ZERO_UUID : new Uuid(number, next());
        } else if (type == byte[].class) {
            return bytes(number);
        } else if (type == ByteBuffer.class) {
            return ByteBuffer.wrap(bytes(number));
        } else if (wireType instanceof Schema) {
            return struct(type, wireType);
        }
        return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes(number)));
    }

    private byte[] bytes(long number) {
        return sparse ? new byte[0]
            : ("bytes-" + number % 1000).getBytes(StandardCharsets.UTF_8);
    }

    private static String messageName(Class<?> type) {
        String name = type.getSimpleName();
        if (name.matches(".*(Request|Response|Header)Data")) {
            return name.substring(0, name.length() - "Data".length());
        }
        return name;
    }

    /* The file that a message belongs in. */
    private static String family(Class<?> type, String name) {
        String where = type.getPackageName();
        if (where.endsWith(".metadata")) {
            return "metadata_records";
        } else if (where.contains("coordinator")) {
            return where.replaceAll(".*coordinator\\.([a-z]+)\\..*", "$1") + "_records";
        } else if (name.endsWith("Request")) {
            return "requests";
        }
        return name.endsWith("Response") ? "responses" : "other";
    }

    private void record(Class<?> type, StringBuilder out) throws Exception {
        Message probe = (Message) type.getConstructor().newInstance();
        short lowest = probe.lowestSupportedVersion();
        short highest = probe.highestSupportedVersion();
        for (short version = lowest; version <= highest; version++) {
            entry(type, version, false, out);
        }
        entry(type, highest, true, out);
    }

    private void entry(Class<?> type, short version, boolean asSparse, StringBuilder out)
            throws Exception {
        String name = messageName(type);
        state = name.hashCode() * 1000L + version;
        sparse = asSparse;
        Message message = (Message) type.getConstructor().newInstance();
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        fill(message, schemas[version]);
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        Class<?> converter = Class.forName(type.getName() + "JsonConverter");
        Object json = converter.getMethod("write", type, short.class).invoke(null, message, version);
        out.append(name).append(' ').append(version).append(sparse ? " sparse\n" : " full\n")
            .append(json).append('\n').append(HexFormat.of().formatHex(bytes)).append('\n');
    }

    private static List<Class<?>> messageClasses(File folder) throws Exception {
        List<Class<?>> found = new ArrayList<>();
        for (File file : folder.listFiles()) {
            if (!file.getName().matches("kafka-.*\\.jar")) {
                continue;
            }
            try (JarFile jar = new JarFile(file)) {
                for (var entry : java.util.Collections.list(jar.entries())) {
                    String name = entry.getName();
                    if (name.endsWith(CONVERTER) && name.indexOf('$') < 0) {
                        String owner = name.substring(0, name.length() - CONVERTER.length());
                        found.add(Class.forName(owner.replace('/', '.')));
                    }
                }
            }
        }
        found.sort((a, b) -> a.getSimpleName().compareTo(b.getSimpleName()));
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, StringBuilder> files = new TreeMap<>();
        for (Class<?> type : messageClasses(new File(arguments[0]))) {
            Message probe = (Message) type.getConstructor().newInstance();
            if (probe.lowestSupportedVersion() > probe.highestSupportedVersion()
                    || type.getSimpleName().startsWith("Remote")) {
                continue;
            }
            String family = family(type, messageName(type));
            new MessageRecorder().record(type, files.computeIfAbsent(family,
                key -> new StringBuilder()));
        }
        for (Map.Entry<String, StringBuilder> file : files.entrySet()) {
            try (PrintWriter out = new PrintWriter(new File(arguments[1], file.getKey() + ".hex"),
                    StandardCharsets.UTF_8)) {
                out.print(file.getValue());
            }
        }
    }
}
