"""TLS as Python 3.13 and other strict clients want it, whatever Python runs this."""
import ssl


def context(ca):
    """ca: PEM text of what is trusted. Certificates must keep to RFC 5280 in every extension."""
    strict = ssl.create_default_context(cadata=ca)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    return strict
