// Package cgi turns a request into CGI/1.1 variables (RFC 3875) and a CGI answer into the head of a response. FastCGI, SCGI
// and uwsgi carry both in their own framing.
//
// Params is the configuration of a location, Vars the variables of one request. Fill writes nginx's fastcgi_params. Two
// kinds of applications want different paths:
//
//   - Scripts (PHP) need SCRIPT_FILENAME. With Params.Root, with a SCRIPT_FILENAME of the configuration, or with a Split,
//     the path is the script: SCRIPT_NAME is the path, or what the Split says, SCRIPT_FILENAME is Root and SCRIPT_NAME, and
//     PATH_INFO is the Split's rest. Names that Windows would take for another file are refused. An empty PATH_INFO is left
//     out, because PHP once computed with its length (CVE-2019-11043). PATH_TRANSLATED is left out always: PHP with
//     cgi.fix_pathinfo=0 takes it for the script, so that /a.php/up/b.jpg would run /up/b.jpg.
//   - Applications that route by themselves (Django and other WSGI applications behind flup or uWSGI) add SCRIPT_NAME and
//     PATH_INFO up to the path. With nothing of the above, SCRIPT_NAME is empty and PATH_INFO is the whole path: what
//     nginx's uwsgi_params says with PATH_INFO $document_uri, and what FastCGI sites for Django write by hand as
//     SCRIPT_NAME "" and PATH_INFO $fastcgi_script_name.
//
// A client's fields become HTTP_ variables. What could be taken for another one does not: names with anything but letters,
// digits and hyphens, Proxy (HTTP_PROXY steers the outgoing requests of many libraries, CVE-2016-5385), and the fields that
// frame a body.
//
// Head parses the answer in place, field by field as the bytes arrive; Rest counts what of its body is still to come, Body
// what of the request's body is still to be sent.
//
// OneShot is all of a wire language that has no framing of its own behind the variables: SCGI and uwsgi. It is for one request
// on a connection, because nothing but the end of the connection marks the end of an answer without a Content-Length. A
// connection that ends before the declared length is an error, where nginx takes the part for the whole.
//
// The package reads no file: whether a script exists is for the caller to check.
package cgi
